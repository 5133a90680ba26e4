"""Layers of the heads; all compute in float32."""

from typing import Any

import keras
import numpy as np
from keras import ops


class GeM(keras.layers.Layer):  # type: ignore[misc]
    """Generalised mean over positions (Radenovic et al. 2017, arXiv:1711.02512).

    (mean of x^p)^(1/p) with a learnable p, from 1 (average) towards infinity (maximum). Negative
    features count as 0.

    Args:
        name: Layer name.
        power: First value of p, above 0.
    """

    def __init__(self, name: str, power: float = 3.0) -> None:
        super().__init__(name=name, dtype="float32")
        self.first_power = power

    def build(self, shape: Any) -> None:
        """Create p, one scalar."""
        first = keras.initializers.Constant(self.first_power)
        self.power = self.add_weight(shape=(), initializer=first, name="power")

    def call(self, features: Any) -> Any:
        """(batch, …, channels) → (batch, channels)."""
        axes = tuple(range(1, len(features.shape) - 1))
        power = ops.maximum(self.power, 1e-3)
        raised = ops.power(ops.maximum(features, 1e-6), power)
        return ops.power(ops.mean(raised, axis=axes), 1 / power)


class CosineLogits(keras.layers.Layer):  # type: ignore[misc]
    """scale * cosine between the embedding and a vector for each class.

    Args:
        num_classes: Number of class vectors.
        scale: First value of the learnable factor.
        name: Layer name.
    """

    def __init__(self, num_classes: int, scale: float, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.num_classes, self.first_scale = num_classes, scale

    def build(self, shape: Any) -> None:
        """Create the class vectors (dim, classes) and the scale."""
        self.kernel = self.add_weight(
            shape=(shape[-1], self.num_classes), initializer="glorot_uniform", name="kernel"
        )
        first = keras.initializers.Constant(self.first_scale)
        self.scale = self.add_weight(shape=(), initializer=first, name="scale")

    def call(self, embedding: Any) -> Any:
        """(batch, dim) → float32 (batch, classes) in [-scale, scale]."""
        directions = _normalized(embedding, axis=-1)
        return self.scale * ops.matmul(directions, _normalized(self.kernel, axis=0))


def _normalized(vectors: Any, axis: int) -> Any:
    """Vectors of length 1. The square root stays away from 0, where its gradient is infinite."""
    squares = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-12))


class RandomFourierFeatures(keras.layers.Layer):  # type: ignore[misc]
    """sqrt(2/n) * cos(x·W / bandwidth + phase): inner products approximate a Gaussian kernel.

    W, phase and bandwidth are not trained.

    Args:
        num_features: Number n of cosines.
        bandwidth: Distance at which the kernel falls to exp(-1/2).
        seed: Decides W and phase.
        name: Layer name.
    """

    def __init__(self, num_features: int, bandwidth: float, seed: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.num_features, self.first_bandwidth, self.seed = num_features, bandwidth, seed

    def build(self, shape: Any) -> None:
        """Draw W (dim, n) and phase (n,)."""
        random = np.random.default_rng(self.seed)
        directions = random.standard_normal((shape[-1], self.num_features)).astype("float32")
        phase = random.uniform(0, 2 * np.pi, self.num_features).astype("float32")
        self.projection = self._frozen(directions, "projection")
        self.phase = self._frozen(phase, "phase")
        self.bandwidth = self._frozen(np.float32(self.first_bandwidth), "bandwidth")

    def _frozen(self, values: Any, name: str) -> Any:
        def initializer(shape: Any, dtype: Any = None) -> Any:
            return ops.convert_to_tensor(values, dtype)

        return self.add_weight(
            shape=np.shape(values), initializer=initializer, trainable=False, name=name
        )

    def call(self, embedding: Any) -> Any:
        """(batch, dim) → (batch, n)."""
        angles = ops.matmul(embedding, self.projection) / self.bandwidth + self.phase
        return np.float32(np.sqrt(2 / self.num_features)) * ops.cos(angles)


class AttentionPool(keras.layers.Layer):  # type: ignore[misc]
    """One learned query attends to all positions (as in CoCa, Yu et al. 2022, arXiv:2205.01917).

    The last projection starts at zero, and so does the result.

    Args:
        num_heads: Number of attention heads; divides the channels.
        name: Layer name.
    """

    def __init__(self, num_heads: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.num_heads = num_heads

    def build(self, shape: Any) -> None:
        """Create the query (channels,) and three projections (channels, channels)."""
        channels = shape[-1]
        self.query = self.add_weight(
            shape=(channels,), initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="query",
        )  # fmt: skip
        matrices = {"key": "glorot_uniform", "value": "glorot_uniform", "output": "zeros"}
        self.matrices = {
            name: self.add_weight(shape=(channels, channels), initializer=first, name=name)
            for name, first in matrices.items()
        }

    def call(self, features: Any) -> Any:
        """(batch, …, channels) → (batch, channels)."""
        channels = features.shape[-1]
        width = channels // self.num_heads
        tokens = ops.reshape(features, (-1, np.prod(features.shape[1:-1], dtype=int), channels))
        split = (-1, tokens.shape[1], self.num_heads, width)
        keys = ops.reshape(ops.matmul(tokens, self.matrices["key"]), split)
        values = ops.reshape(ops.matmul(tokens, self.matrices["value"]), split)
        query = ops.reshape(self.query, (self.num_heads, width)) / np.float32(np.sqrt(width))
        attention = ops.softmax(ops.einsum("hw,bthw->bth", query, keys), axis=1)
        attended = ops.einsum("bth,bthw->bhw", attention, values)
        return ops.matmul(ops.reshape(attended, (-1, channels)), self.matrices["output"])
