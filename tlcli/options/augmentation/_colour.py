"""Colour jitter as one linear map of the pixels."""

import math

from tlcli.data.resize import to_uint8
from tlcli.lazy import Tensor, np, tf
from tlcli.system.seeds import unit

LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = (LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


def colour_jitter(
    image: Tensor, seed: Tensor, strengths: tuple[float, float, float, float]
) -> Tensor:
    """Random brightness, then contrast, saturation and hue.

    The four are linear in the pixels, so they are multiplied into one matrix and an offset, and
    the image is read once; it is clipped once, at the end.

    Args:
        image: uint8 (height, width, 3).
        seed: int32 (2,).
        strengths: Of brightness, contrast and saturation, whose factors lie in 1 ± strength and
            are never below 0; of hue, turns of YIQ's colour circle, at most 0.5.

    Returns:
        uint8 (height, width, 3).
    """
    if not any(strengths):
        return image
    draws = 2 * unit(seed, [4]) - 1
    bright, contrast, saturation = (tf.maximum(1 + strengths[i] * draws[i], 0.0) for i in range(3))
    return adjusted(image, bright, contrast, saturation, strengths[3] * draws[3])


def adjusted(
    image: Tensor, bright: Tensor, contrast: Tensor, saturation: Tensor, turns: Tensor
) -> Tensor:
    """The image with given factors of brightness, contrast, saturation, and its hue turned."""
    pixels = tf.reshape(tf.cast(image, tf.float32), [-1, 3])
    luma = tf.constant([LUMA])
    mean = tf.reduce_sum(tf.reduce_mean(pixels, axis=0) * luma) * bright
    grey = tf.tile(luma, [3, 1])
    saturate = saturation * tf.eye(3) + (1 - saturation) * grey
    matrix = bright * contrast * (_hue_matrix(turns) @ saturate)
    # Grey is not changed by saturation or hue, so the contrast's offset needs no matrix.
    jittered = tf.matmul(pixels, matrix, transpose_b=True) + (1 - contrast) * mean
    return to_uint8(tf.reshape(jittered, tf.shape(image)))


def _hue_matrix(turns: Tensor) -> Tensor:
    """Turns the two colour axes of YIQ from red towards yellow; the luma stays."""
    angle = -2 * math.pi * turns
    cos, sin = tf.cos(angle), tf.sin(angle)
    turn = tf.stack([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    from_yiq = np.linalg.inv(np.array(_TO_YIQ)).astype("float32")
    return tf.constant(from_yiq) @ turn @ tf.constant(_TO_YIQ)
