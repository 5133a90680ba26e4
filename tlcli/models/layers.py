"""Layers without training that make a classifier fit as teacher."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

Tensor = Any


class ResizeImages(keras.layers.Layer):  # type: ignore[misc]
    """Square images at another size, by antialiased bilinear interpolation, rounded to uint8.

    Resizing is linear along each axis, so both axes are products with a matrix: this compiles
    with XLA, and gives the same numbers inside a step and outside.

    Args:
        before, after: Pixels of a side.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(name=f"resize_{before}_{after}", dtype="float32", trainable=False)
        self.after = after
        unit = np.eye(before, dtype=np.float32)[..., None]
        rows = tf.image.resize(unit, (after, before), antialias=True)[..., 0].numpy()
        self.rows = self.add_weight(name="rows", shape=rows.shape, trainable=False)
        self.rows.assign(rows)

    def call(self, images: Tensor) -> Tensor:
        """uint8 (batch, after, after, 3)."""
        pixels = tf.cast(images, tf.float32)
        resized = tf.einsum("bhwc,yh,xw->byxc", pixels, self.rows, self.rows)
        return tf.cast(tf.clip_by_value(resized, 0.0, 255.0) + 0.5, tf.uint8)

    def compute_output_spec(self, images: Tensor) -> Any:
        """Shape and type of what `call` makes."""
        shape = (images.shape[0], self.after, self.after, images.shape[-1])
        return keras.KerasTensor(shape, dtype="uint8")


class ChosenClasses(keras.layers.Layer):  # type: ignore[misc]
    """Some columns of the logits, in the student's order.

    Args:
        places: Column of each class, (classes,).
        name: Layer name.
    """

    def __init__(self, places: Any, name: str = "chosen_classes") -> None:
        super().__init__(name=name, dtype="float32", trainable=False)
        places = np.asarray(places, np.int32)
        self.places = self.add_weight(
            name="places", shape=places.shape, dtype="int32", initializer="zeros", trainable=False
        )
        self.places.assign(places)

    def call(self, logits: Tensor) -> Tensor:
        """(batch, classes)."""
        return tf.gather(logits, tf.convert_to_tensor(self.places), axis=-1)

    def compute_output_spec(self, logits: Tensor) -> Any:
        """Shape and type of what `call` makes."""
        return keras.KerasTensor((logits.shape[0], self.places.shape[0]), dtype=logits.dtype)


class MeanLogits(keras.layers.Layer):  # type: ignore[misc]
    """Weighted mean of several models' logits.

    Args:
        weights: Share of each model, (models,); or of each in each class, (models, classes). They
            sum to 1 over the models.
    """

    def __init__(self, weights: Any, name: str = "mean_logits") -> None:
        super().__init__(name=name, dtype="float32", trainable=False)
        shares = np.asarray(weights, np.float32)
        shares = shares[:, None] if shares.ndim == 1 else shares
        self.shares = self.add_weight(name="shares", shape=shares.shape, trainable=False)
        self.shares.assign(shares)

    def call(self, logits: list[Tensor]) -> Tensor:
        """float32 (batch, classes)."""
        return tf.reduce_sum(tf.stack(logits) * self.shares[:, None, :], axis=0)


class MeanProbabilities(MeanLogits):
    """Logarithm of the weighted mean of several models' probabilities.

    Shares that differ by class leave a sum other than 1, so the mean is divided by it.

    Args:
        weights: As of MeanLogits.
    """

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, "mean_probabilities")

    def call(self, logits: list[Tensor]) -> Tensor:
        """float32 (batch, classes); its softmax is the mean."""
        logs = tf.nn.log_softmax(tf.stack(logits)) + tf.math.log(self.shares)[:, None, :]
        return tf.nn.log_softmax(tf.reduce_logsumexp(logs, axis=0))
