"""Test-time augmentation: several views of each image, whose probabilities are averaged."""

from collections.abc import Sequence
from typing import Literal

from tlcli.lazy import Tensor, tf

Kind = Literal["none", "flip", "five_crop", "ten_crop"]
CROP_PART = 0.875  # side of a crop; 224 of 256 pixels, as is usual


def views(images: Tensor, kind: Kind) -> list[Tensor]:
    """The views of a batch, all of the size and dtype that the model takes.

    Args:
        images: uint8 or float (batch, size, size, channels).
        kind: none gives the images; flip also their mirror images; five_crop the four corners and
            the middle, 7/8 of the side, resized to the full size (bilinear); ten_crop these and
            their mirror images.

    Returns:
        1, 2, 5 or 10 tensors of the shape and dtype of images.
    """
    found = _five_crops(images) if kind in ("five_crop", "ten_crop") else [images]
    if kind in ("flip", "ten_crop"):
        found += [tf.reverse(view, [2]) for view in found]
    return found


def mean_probabilities(probabilities: Sequence[Tensor]) -> Tensor:
    """Mean over the views, float32 (batch, classes).

    Args:
        probabilities: Of each view, float (batch, classes), after softmax or sigmoid.
    """
    return tf.reduce_mean(tf.stack([tf.cast(p, tf.float32) for p in probabilities]), axis=0)


def _five_crops(images: Tensor) -> list[Tensor]:
    size = tf.shape(images)[1]
    side = tf.cast(tf.round(CROP_PART * tf.cast(size, tf.float32)), tf.int32)
    far, middle = size - side, (size - side) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    return [
        _full_size(images[:, top : top + side, left : left + side], images) for top, left in corners
    ]


def _full_size(crops: Tensor, images: Tensor) -> Tensor:
    resized = tf.image.resize(crops, tf.shape(images)[1:3])
    if images.dtype.is_integer:
        resized = tf.round(resized)
    return tf.ensure_shape(tf.cast(resized, images.dtype), images.shape)
