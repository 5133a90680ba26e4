"""Random boxes: the crop that is resized, and the patch that is erased."""

import math
from collections.abc import Sequence

from tlcli.data.resize import image_sides, whole_box
from tlcli.lazy import Tensor, tf
from tlcli.system.seeds import unit

_TRIES = 10


def random_crop(
    sides: Tensor, seed: Tensor, scale: Sequence[float], ratio: Sequence[float]
) -> Tensor:
    """A random part of an image, to be resized once (Szegedy et al. 2014, arXiv:1409.4842).

    Args:
        sides: Height and width of the image, int32 (2,).
        seed: int32 (2,).
        scale: Least and greatest part of the image's area.
        ratio: Least and greatest width / height of the part.

    Returns:
        Top, left, height and width, int32 (4,).
    """
    height, width = tf.unstack(tf.cast(sides, tf.float32))
    fits, box = _random_box(height, width, seed, scale, ratio)
    box = tf.where(fits, box, _centre_box(height, width, ratio))
    return whole_box(box, sides)


def random_flip(image: Tensor, seed: Tensor, probability: float) -> Tensor:
    """The image or, with the probability, its mirror image, left and right exchanged."""
    if probability == 0:
        return image
    # A slice with a negative step takes seven times as long as tf.reverse.
    return tf.cond(unit(seed, []) < probability, lambda: tf.reverse(image, [1]), lambda: image)


def random_erase(image: Tensor, seed: Tensor, probability: float) -> Tensor:
    """Random erasing (Zhong et al. 2020, arXiv:1708.04896): noise in a box of 2-33 % of the area.

    Args:
        image: uint8 (height, width, 3).
        seed: int32 (2,).
        probability: Of erasing anything.

    Returns:
        uint8 (height, width, 3).
    """
    if probability == 0:
        return image
    whether, where, what = tf.unstack(tf.random.split(seed, 3))
    return tf.cond(
        unit(whether, []) < probability, lambda: _erased(image, where, what), lambda: image
    )


def _erased(image: Tensor, where: Tensor, what: Tensor) -> Tensor:
    fits, box = _random_box(*image_sides(image), where, (0.02, 1 / 3), (0.3, 1 / 0.3))
    noise = tf.random.stateless_uniform(tf.shape(image), what, maxval=256, dtype=tf.int32)
    inside = box_mask(box, tf.shape(image)[0], tf.shape(image)[1]) & fits
    return tf.where(inside[..., tf.newaxis], tf.cast(noise, tf.uint8), image)


def box_mask(box: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Which pixels lie in boxes.

    Args:
        box: float32 (..., 4), whole top, left, height and width.
        height: Pixels.
        width: Pixels.

    Returns:
        bool (..., height, width).
    """
    top, left, tall, wide = tf.unstack(box[..., tf.newaxis], axis=-2)
    rows, columns = (tf.range(side, dtype=tf.int32) for side in (height, width))
    rows, columns = tf.cast(rows, tf.float32), tf.cast(columns, tf.float32)
    in_row = (rows >= top) & (rows < top + tall)
    in_column = (columns >= left) & (columns < left + wide)
    return in_row[..., :, tf.newaxis] & in_column[..., tf.newaxis, :]


def _random_box(
    height: Tensor, width: Tensor, seed: Tensor, scale: Sequence[float], ratio: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Whether one of ten draws fits, and the first that does: top, left, height, width."""
    draws = unit(seed, [4, _TRIES])
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = tf.exp(low + (high - low) * draws[1])
    tall, wide = tf.round(tf.sqrt(area / aspect)), tf.round(tf.sqrt(area * aspect))
    fit = (tall >= 1) & (wide >= 1) & (tall <= height) & (wide <= width)
    top = tf.floor(draws[2] * (height - tall + 1))
    left = tf.floor(draws[3] * (width - wide + 1))
    first = tf.argmax(tf.cast(fit, tf.int32))
    return tf.reduce_any(fit), tf.stack([top, left, tall, wide])[:, first]


def _centre_box(height: Tensor, width: Tensor, ratio: Sequence[float]) -> Tensor:
    """The greatest box of an allowed aspect in the middle of the image."""
    tall = tf.maximum(tf.minimum(height, tf.round(width / ratio[0])), 1.0)
    wide = tf.maximum(tf.minimum(width, tf.round(height * ratio[1])), 1.0)
    return tf.stack([(height - tall) // 2, (width - wide) // 2, tall, wide])
