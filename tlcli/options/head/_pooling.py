"""From a backbone's features to one vector an image."""

from tlcli.errors import require
from tlcli.lazy import Tensor, keras


def check(dropout: float) -> None:
    """Refuse a dropout outside [0, 1)."""
    require(0 <= dropout < 1, "head.dropout", dropout, "Give a number from 0 up to, not with, 1.")


def pool(features: Tensor, pooling: str) -> Tensor:
    """Pool maps over height and width, and tokens over tokens, in float32.

    Args:
        features: KerasTensor (batch, height, width, channels), (batch, tokens, channels) or
            (batch, channels), which passes as it is.
        pooling: "avg", "max", "avgmax" (mean of the two) or "gem".

    Returns:
        KerasTensor float32 (batch, channels).
    """
    layers = keras.layers
    rank = len(features.shape)
    if rank == 2:
        return layers.Activation("linear", dtype="float32", name="head_pool")(features)
    if pooling == "gem":
        from tlcli.options.head._layers import GeM

        return GeM(name="head_pool")(features)
    average = layers.GlobalAveragePooling2D if rank == 4 else layers.GlobalAveragePooling1D
    maximum = layers.GlobalMaxPooling2D if rank == 4 else layers.GlobalMaxPooling1D
    if pooling == "avg":
        return average(dtype="float32", name="head_pool")(features)
    if pooling == "max":
        return maximum(dtype="float32", name="head_pool")(features)
    both = [
        average(dtype="float32", name="head_pool_avg")(features),
        maximum(dtype="float32", name="head_pool_max")(features),
    ]
    return layers.Average(dtype="float32", name="head_pool")(both)


def drop(vectors: Tensor, rate: float, name: str = "head_dropout") -> Tensor:
    """Dropout, left out of the graph at rate 0."""
    return keras.layers.Dropout(rate, dtype="float32", name=name)(vectors) if rate else vectors


def dense_logits(vectors: Tensor, num_classes: int, zero_init: bool) -> Tensor:
    """Float32 logits (batch, num_classes); all 0 at first with zero_init."""
    first = "zeros" if zero_init else "glorot_uniform"
    return keras.layers.Dense(
        num_classes, kernel_initializer=first, dtype="float32", name="head_logits"
    )(vectors)
