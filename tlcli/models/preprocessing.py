"""Layers that turn RGB 0-255 into what a backbone was trained on, in float32."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

MEAN_BGR = (103.939, 116.779, 123.68)
MEAN_RGB = (0.485, 0.456, 0.406)
STD_RGB = (0.229, 0.224, 0.225)


class Affine(keras.layers.Layer):  # type: ignore[misc]
    """images * scale + offset, each channel by its own numbers.

    Args:
        scale: A number, or one a channel.
        offset: A number, or one a channel, in units of the result.
        name: Layer name.
    """

    def __init__(
        self, scale: float | Sequence[float], offset: float | Sequence[float], name: str
    ) -> None:
        super().__init__(name=name, dtype="float32", trainable=False)
        self.scale, self.offset = scale, offset

    def call(self, images: Any) -> Any:
        """Float32 (batch, height, width, channels) → the same shape."""
        scale = ops.convert_to_tensor(self.scale, "float32")
        return images * scale + ops.convert_to_tensor(self.offset, "float32")


class Caffe(keras.layers.Layer):  # type: ignore[misc]
    """RGB → BGR, minus the mean colour of ImageNet; no scaling."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, dtype="float32", trainable=False)

    def call(self, images: Any) -> Any:
        """Float32 (batch, height, width, 3) → the same shape."""
        return ops.flip(images, axis=-1) - ops.convert_to_tensor(MEAN_BGR, "float32")


def preprocess(images: Any, mode: str) -> Any:
    """Apply one of keras.applications' preprocessing modes.

    Args:
        images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.
        mode: "caffe", "tf" (to -1…1), "torch" (ImageNet mean 0, deviation 1) or "inside" (as is).
    """
    if mode == "caffe":
        return Caffe(name="preprocess")(images)
    if mode == "tf":
        return Affine(1 / 127.5, -1.0, name="preprocess")(images)
    if mode == "torch":
        scale = [1 / (255 * deviation) for deviation in STD_RGB]
        offset = [-mean / deviation for mean, deviation in zip(MEAN_RGB, STD_RGB, strict=True)]
        return Affine(scale, offset, name="preprocess")(images)
    return images
