"""The pixels that a network is shown, by Pillow and NumPy alone: no TensorFlow is imported.

They are those of `decode` and `Resize` but for rounding: decoders are the same libraries, and
interpolation is the same formula in another order of sums.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data.header import BY_JPEG, REMEDY, Header, inspect, opened, quiet_pillow
from tlcli.data.resize import PAD_VALUE, Resize
from tlcli.errors import DataError
from tlcli.system.opened import read_bytes, reason

RATIOS = (8, 4, 2)  # that libjpeg shrinks by while it decodes


def view(source: str | Path | bytes, resize: Resize, max_pixels: int, name: str = "image") -> Any:
    """What the network is shown of a picture, uint8 (size, size, 3).

    Args:
        source: A file, or an encoded picture.
        resize: How pictures become squares.
        max_pixels: Width times height above which it is refused.
        name: What to call bytes in an error.

    Raises:
        DataError: It cannot be read as a picture.
    """
    label = name if isinstance(source, bytes) else str(source)
    header = inspect(source, max_pixels, label)
    data = source if isinstance(source, bytes) else read_bytes(source, "picture")
    try:
        with quiet_pillow():
            image = decoded(data, header, resize.short_side)
    except Exception as error:  # whatever a decoder makes of damaged bytes
        raise DataError(label, f"cannot be decoded: {reason(error)}", REMEDY) from error
    return fitted(upright(image, header.orientation), resize)


def decoded(data: bytes, header: Header, short_side: int = 0) -> Any:
    """A picture as stored, uint8 (height, width, 3); the first frame, alpha dropped.

    Args:
        data: Encoded.
        header: Its own.
        short_side: Pixels that the shorter side must keep: a JPEG may come smaller; 0 for all.
    """
    with opened(io.BytesIO(data), data[:64]) as picture:
        if picture.mode.startswith("I;16"):
            high = (np.asarray(picture) >> 8).astype(np.uint8)
            return np.repeat(high[..., None], 3, axis=-1)
        if header.decoder == BY_JPEG and short_side:
            sides = picture.size
            ratio = next((r for r in RATIOS if min(sides) >= short_side * r), 1)
            if ratio > 1:
                picture.draft(picture.mode, (sides[0] // ratio, sides[1] // ratio))
        return np.asarray(picture.convert("RGB"))


def upright(image: Any, orientation: int) -> Any:
    """A picture (height, width, 3) as it is to be seen: EXIF orientation 1 to 8 applied."""
    image = image.transpose(1, 0, 2) if orientation >= 5 else image
    image = image[:, ::-1] if orientation in (2, 3, 6, 7) else image
    return image[::-1] if orientation in (3, 4, 7, 8) else image


def fitted(image: Any, resize: Resize) -> Any:
    """The square of a whole picture, uint8 (height, width, 3) to (size, size, 3)."""
    size = resize.size
    if resize.mode == "pad":
        return _padded(image, resize)
    if resize.mode == "crop":
        top, left, tall, wide = centre(image.shape[:2], resize)
        image = image[top : top + tall, left : left + wide]
    return resized(image, (size, size), resize.antialias)


def centre(sides: tuple[int, int], resize: Resize) -> tuple[int, int, int, int]:
    """Top, left, height and width of the centre square of a picture, whole pixels."""
    whole = np.array(sides, np.int64)
    scaled = whole * resize.short_side // whole.min()
    first = np.rint((scaled - resize.size).astype(np.float32) / np.float32(2))
    step = whole.astype(np.float32) / scaled.astype(np.float32)
    begin, extent = first * step, np.float32(resize.size) * step
    start = np.clip(np.rint(begin).astype(int), 0, whole - 1)
    end = np.clip(np.rint(begin + extent).astype(int), start + 1, whole)
    (top, left), (tall, wide) = start.tolist(), (end - start).tolist()
    return top, left, tall, wide


def _padded(image: Any, resize: Resize) -> Any:
    """The long side takes all pixels; an odd pixel of padding goes below or to the right."""
    size, sides = resize.size, np.array(image.shape[:2], np.float32)
    kept = np.clip(np.rint(sides * (np.float32(size) / sides.max())).astype(int), 1, size)
    before = (size - kept) // 2
    bars = [(int(b), int(size - k - b)) for b, k in zip(before, kept, strict=True)]
    small = resized(image, (int(kept[0]), int(kept[1])), resize.antialias)
    return np.pad(small, [*bars, (0, 0)], constant_values=PAD_VALUE)


def resized(image: Any, sides: tuple[int, int], antialias: bool) -> Any:
    """A picture at another size by bilinear interpolation, rounded to the nearest level.

    Args:
        image: uint8 (height, width, channels).
        sides: Height and width of the result.
        antialias: Widen the kernel when shrinking by more than 2.

    Returns:
        uint8 (*sides, channels).
    """
    if image.shape[:2] == sides:
        return np.ascontiguousarray(image)
    wide = antialias and max(old / new for old, new in zip(image.shape, sides, strict=False)) > 2
    rows, columns = (
        weights(old, new, wide) for old, new in zip(image.shape[:2], sides, strict=True)
    )
    # The longer side first: fewer pixels are left for the other.
    pixels = image.astype(np.float32)
    pixels = np.einsum("oh,hwc->owc", rows, pixels, optimize=True)
    pixels = np.einsum("ow,hwc->hoc", columns, pixels, optimize=True)
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)


def weights(old: int, new: int, wide: bool) -> Any:
    """What each old pixel of a side gives each new one, float32 (new, old); rows sum to 1.

    Args:
        old: Pixels there are.
        new: Pixels to make.
        wide: Whether the triangle is as wide as a new pixel where that is wider than an old one.
    """
    step = np.float32(old) / np.float32(new)
    centres = (np.arange(new, dtype=np.float32) + np.float32(0.5)) * step
    if not wide:
        # Beyond the outer centres the outer pixels go on.
        centres = np.clip(centres, 0.5, old - 0.5).astype(np.float32)
    reach = max(step, np.float32(1)) if wide else np.float32(1)
    places = np.arange(old, dtype=np.float32) + np.float32(0.5)
    found = np.maximum(0, 1 - np.abs(places[None] - centres[:, None]) / reach)
    return (found / found.sum(1, keepdims=True)).astype(np.float32)
