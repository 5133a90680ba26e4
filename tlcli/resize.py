"""How a picture of any size becomes square, in validation, evaluation, prediction and export."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from tlcli.errors import require
from tlcli.lazy import Tensor, tf
from tlcli.options import build_dataclass

# Counted up when the same picture becomes other pixels, so that kept outputs are not reused.
PIXELS = 2
PAD_VALUE = 128  # mid-grey; near zero once a backbone has normalised its input


@dataclasses.dataclass(frozen=True)
class Resize:
    """Makes one image square by bilinear interpolation; kept in the checkpoint.

    Attributes:
        size: Pixels of a side of the result, 1 or more.
        mode: crop keeps the aspect and cuts the middle out, squash changes the aspect, pad keeps
            the whole image and adds mid-grey bars.
        crop_fraction: Part of the short side that crop keeps, in (0, 1]; the others ignore it.
        antialias: Widen the kernel when shrinking by more than 2, as PIL does.
    """

    size: int
    mode: Literal["crop", "squash", "pad"]
    crop_fraction: float
    antialias: bool

    def __post_init__(self) -> None:
        require(self.size >= 1, "image_size", self.size, "Give a whole number above 0.")
        require(self.mode in MODES, "resize", self.mode, "Choose one of crop, pad, squash.")
        require(
            0 < self.crop_fraction <= 1,
            "crop_fraction",
            self.crop_fraction,
            "Give a number above 0, at most 1.",
        )

    def apply(self, image: Tensor) -> Tensor:
        """The square image.

        Args:
            image: uint8 (height, width, 3), any size of 1 or more.

        Returns:
            uint8 (size, size, 3), rounded to the nearest level.
        """
        square = MODES[self.mode](self, image)
        return tf.ensure_shape(to_uint8(square), (self.size, self.size, 3))

    @property
    def short_side(self) -> int:
        """Pixels that the shorter side of a picture must have so that nothing is enlarged."""
        return round(self.size / self.crop_fraction) if self.mode == "crop" else self.size

    def as_dict(self) -> dict[str, Any]:
        """Its fields as JSON can hold them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Resize":
        """The policy that `as_dict` wrote.

        Raises:
            ConfigError: Unknown or missing key, wrong type or range.
        """
        policy: Resize = build_dataclass(cls, values, "resize")
        return policy


def _crop(policy: Resize, image: Tensor) -> Tensor:
    """The centre square: as resizing the short side to size / crop_fraction, then cutting.

    The cut lies between whole pixels of the picture, so one that needs no resizing is not blurred.
    """
    sides = tf.shape(image)[:2]
    short = policy.short_side
    resized = tf.cast(sides, tf.int64) * short // tf.cast(tf.reduce_min(sides), tf.int64)
    first = tf.round(tf.cast(resized - policy.size, tf.float32) / 2)
    step = tf.cast(sides, tf.float32) / tf.cast(resized, tf.float32)
    box = tf.unstack(tf.concat([first * step, policy.size * step], axis=0))
    return resize_box(image, tuple(box), (policy.size, policy.size), policy.antialias)


def _squash(policy: Resize, image: Tensor) -> Tensor:
    box = (0.0, 0.0, *image_sides(image))
    return resize_box(image, box, (policy.size, policy.size), policy.antialias)


def _pad(policy: Resize, image: Tensor) -> Tensor:
    """The long side takes all the pixels; an odd pixel of padding goes below or to the right."""
    sides = tf.stack(image_sides(image))
    kept = tf.cast(tf.round(sides * (policy.size / tf.reduce_max(sides))), tf.int32)
    kept = tf.clip_by_value(kept, 1, policy.size)
    small = resize_box(image, (0.0, 0.0, sides[0], sides[1]), kept, policy.antialias)
    before = (policy.size - kept) // 2
    bars = tf.stack([before, policy.size - kept - before], axis=1)
    return tf.pad(small, tf.pad(bars, [[0, 1], [0, 0]]), constant_values=float(PAD_VALUE))


MODES = {"crop": _crop, "squash": _squash, "pad": _pad}


def image_sides(image: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width of an image (height, width, channels), float32 scalars."""
    shape = tf.cast(tf.shape(image), tf.float32)
    return shape[0], shape[1]


def to_uint8(image: Tensor) -> Tensor:
    """The nearest of the 256 levels, uint8; what lies outside 0-255 is clipped."""
    return tf.cast(tf.clip_by_value(image, 0.0, 255.0) + 0.5, tf.uint8)


def resize_box(
    image: Tensor, box: tuple[Any, Any, Any, Any], sides: Any, antialias: bool
) -> Tensor:
    """One part of an image, cut out and resized.

    Up to a factor of 2 plain bilinear interpolation reads every pixel and costs a third of the
    antialiasing kernel; that is for shrinking further.

    Args:
        image: uint8 or float32 (height, width, channels).
        box: Top, left, height and width of the part in pixels; the edges are rounded to whole ones.
        sides: Height and width of the result.
        antialias: Widen the kernel when shrinking by more than 2.

    Returns:
        float32 (*sides, channels), not rounded.
    """
    top, left, tall, wide = (tf.cast(edge, tf.float32) for edge in box)
    whole = tf.shape(image)[:2]
    first = tf.cast(tf.round(tf.stack([top, left])), tf.int32)
    first = tf.clip_by_value(first, 0, whole - 1)
    last = tf.cast(tf.round(tf.stack([top + tall, left + wide])), tf.int32)
    last = tf.clip_by_value(last, first + 1, whole)
    part = image[first[0] : last[0], first[1] : last[1]]
    if not antialias:
        return tf.image.resize(part, sides)
    ratio = tf.cast(last - first, tf.float32) / tf.cast(sides, tf.float32)
    return tf.cond(
        tf.reduce_max(ratio) <= 2.0,
        lambda: tf.image.resize(part, sides),
        lambda: tf.image.resize(part, sides, antialias=True),
    )
