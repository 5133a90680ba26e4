"""How a picture of any size becomes square, in validation, evaluation, prediction and export."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from tlcli.config.checked import build_dataclass
from tlcli.contracts.data import Region
from tlcli.errors import require
from tlcli.lazy import Tensor, tf

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
        antialias: Widen the kernel when shrinking by more than 2; PIL does at any shrinking, which
            is about 2 levels off this on usual photos.
    """

    size: int
    mode: Literal["crop", "squash", "pad"]
    crop_fraction: float
    antialias: bool

    def __post_init__(self) -> None:
        require(self.size >= 1, "image_size", self.size, "Give a whole number above 0.")
        modes = ("crop", "squash", "pad")
        require(self.mode in modes, "resize", self.mode, "Choose one of crop, pad, squash.")
        require(
            0 < self.crop_fraction <= 1,
            "crop_fraction",
            self.crop_fraction,
            "Give a number above 0, at most 1.",
        )

    @property
    def region(self) -> Region | None:
        """The part of a picture that is shown; None is all of it."""
        return Region(self._centre, True) if self.mode == "crop" else None

    def _centre(self, sides: Tensor) -> Tensor:
        """The centre square: as resizing the short side to size / crop_fraction, then cutting.

        The cut lies between whole pixels, so a picture that needs no resizing is not blurred.
        """
        short = tf.cast(tf.reduce_min(sides, -1, keepdims=True), tf.int64)
        scaled = tf.cast(sides, tf.int64) * self.short_side // short
        first = tf.round(tf.cast(scaled - self.size, tf.float32) / 2)
        step = tf.cast(sides, tf.float32) / tf.cast(scaled, tf.float32)
        return whole_box(tf.concat([first * step, self.size * step], axis=-1), sides)

    def fit(self, part: Tensor) -> Tensor:
        """The square made of what `region` shows.

        Args:
            part: uint8 (height, width, 3), any size of 1 or more.

        Returns:
            uint8 (size, size, 3), rounded to the nearest level.
        """
        if self.mode == "pad":
            square = self._padded(part)
        else:
            square = resized(part, (self.size, self.size), self.antialias)
        return tf.ensure_shape(square, (self.size, self.size, 3))

    def _padded(self, image: Tensor) -> Tensor:
        """The long side takes all pixels; an odd pixel of padding goes below or to the right."""
        sides = tf.stack(image_sides(image))
        kept = tf.cast(tf.round(sides * (self.size / tf.reduce_max(sides))), tf.int32)
        kept = tf.clip_by_value(kept, 1, self.size)
        before = (self.size - kept) // 2
        bars = tf.stack([before, self.size - kept - before], axis=1)
        small = resized(image, kept, self.antialias)
        return tf.pad(small, tf.pad(bars, [[0, 1], [0, 0]]), constant_values=PAD_VALUE)

    def apply(self, image: Tensor) -> Tensor:
        """The square of a whole picture, uint8 (height, width, 3) to (size, size, 3)."""
        return self.fit(part_of(image, self.region))

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


def image_sides(image: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width of an image (height, width, channels), float32 scalars."""
    shape = tf.cast(tf.shape(image), tf.float32)
    return shape[0], shape[1]


def to_uint8(image: Tensor) -> Tensor:
    """The nearest of the 256 levels, uint8; what lies outside 0-255 is clipped."""
    return tf.cast(tf.clip_by_value(image, 0.0, 255.0) + 0.5, tf.uint8)


def whole_box(box: Tensor, sides: Tensor) -> Tensor:
    """A box whose edges lie between pixels, of one pixel or more, inside the picture.

    Args:
        box: float32 (..., 4), top, left, height and width.
        sides: Height and width of the picture, int32 (..., 2).

    Returns:
        int32 (..., 4).
    """
    start, extent = box[..., :2], box[..., 2:]
    first = tf.clip_by_value(tf.cast(tf.round(start), tf.int32), 0, sides - 1)
    last = tf.cast(tf.round(start + extent), tf.int32)
    return tf.concat([first, tf.clip_by_value(last, first + 1, sides) - first], axis=-1)


def part_of(image: Tensor, region: Region | None) -> Tensor:
    """What a region shows of a picture (height, width, channels)."""
    if region is None:
        return image
    top, left, tall, wide = tf.unstack(region.box(tf.shape(image)[:2]))
    return image[top : top + tall, left : left + wide]


def resized(image: Tensor, sides: Any, antialias: bool) -> Tensor:
    """A picture at another size, by bilinear interpolation.

    Up to a factor of 2 the plain one reads every pixel and costs a third of the antialiasing
    kernel; that is for shrinking further.

    Args:
        image: uint8 (height, width, channels).
        sides: Height and width of the result.
        antialias: Widen the kernel when shrinking by more than 2.

    Returns:
        uint8 (*sides, channels), rounded to the nearest level.
    """
    if not antialias:
        found = tf.image.resize(image, sides)
    else:
        ratio = tf.cast(tf.shape(image)[:2], tf.float32) / tf.cast(sides, tf.float32)
        found = tf.cond(
            tf.reduce_max(ratio) <= 2.0,
            lambda: tf.image.resize(image, sides),
            lambda: tf.image.resize(image, sides, antialias=True),
        )
    # Means of levels need no clipping.
    return tf.cast(found + 0.5, tf.uint8)
