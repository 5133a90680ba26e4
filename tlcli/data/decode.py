"""Decode pictures inside tf.data: TensorFlow's ops where they are right, Pillow for the rest.

Alpha is dropped, not blended: the colours stored below a transparent pixel are used.
"""

import io
from pathlib import Path
from typing import Any

from tlcli.data.header import BY_JPEG, BY_PILLOW, BY_PNG, BY_WEBP, REMEDY, inspect, opened
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system.opened import read_bytes

# The default, INTEGER_FAST, is up to 5 levels off what every other decoder gives.
DCT = "INTEGER_ACCURATE"


def _by_jpeg(data: Tensor, short_side: int = 0) -> Tensor:
    """At the smallest size libjpeg can give whose shorter side has `short_side` pixels."""
    if not short_side:
        return jpeg(data, 1)
    short = tf.reduce_min(tf.io.extract_jpeg_shape(data)[:2])
    large = [short >= short_side * ratio for ratio in (2, 4, 8)]
    branches = [lambda ratio=ratio: jpeg(data, ratio) for ratio in (1, 2, 4, 8)]
    return tf.switch_case(tf.reduce_sum(tf.cast(large, tf.int32)), branches)


def jpeg(data: Tensor, ratio: int) -> Tensor:
    """A JPEG at 1, 1/2, 1/4 or 1/8 of its size."""
    return tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method=DCT)


def _by_png(data: Tensor) -> Tensor:
    return tf.io.decode_png(data, channels=3)


def _by_webp(data: Tensor) -> Tensor:
    return tf.io.decode_webp(data, channels=3)[0]


def _by_pillow(data: Tensor) -> Tensor:
    if tf.executing_eagerly():  # There numpy_function would cut NUL bytes off the end.
        return tf.constant(pillow_rgb(data.numpy()))
    image = tf.numpy_function(pillow_rgb, [data], tf.uint8, stateful=False)
    return tf.ensure_shape(image, (None, None, 3))


# By their BY_ number; JPEGs have several ways.
DECODERS = {BY_PNG: _by_png, BY_WEBP: _by_webp, BY_PILLOW: _by_pillow}


def pillow_rgb(data: bytes) -> Any:
    """First frame of an encoded image by Pillow, uint8 (height, width, 3), as stored."""
    with opened(io.BytesIO(data), data[:64]) as picture:
        if picture.mode.startswith("I;16"):
            high = (np.asarray(picture) >> 8).astype(np.uint8)
            return np.repeat(high[..., None], 3, axis=-1)
        return np.asarray(picture.convert("RGB"))


def decode(data: Tensor, decoder: Tensor, short_side: int = 0) -> Tensor:
    """Picture as stored, uint8 (height, width, 3).

    Args:
        data: Encoded image, string scalar.
        decoder: One of the BY_ numbers; a Python int fixes the choice in the graph.
        short_side: Pixels that the shorter side must keep, see ImageSource; 0 for all.
    """

    def by(number: int) -> Tensor:
        return _by_jpeg(data, short_side) if number == BY_JPEG else DECODERS[number](data)

    if isinstance(decoder, int):
        return by(decoder)
    branches = {number: lambda number=number: by(number) for number in (BY_JPEG, *DECODERS)}
    return tf.switch_case(tf.cast(decoder, tf.int32), branches)


def upright(image: Tensor, orientation: Tensor) -> Tensor:
    """Picture as it is to be seen: EXIF orientation (1 to 8) applied, uint8 (height, width, 3)."""
    orientation = tf.cast(orientation, tf.int32)

    def is_one_of(*values: int) -> Tensor:
        return tf.reduce_any(tf.equal(orientation, values))

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(is_one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)


def decode_file(path: str | Path | bytes, max_pixels: int, short_side: int = 0) -> Any:
    """Picture of one file exactly as training sees it, NumPy uint8 (height, width, 3), upright.

    Args:
        path: A picture that is read, whatever its extension, or its bytes.
        max_pixels: Width times height above which it is refused.
        short_side: Pixels that the shorter side must keep, see ImageSource; 0 for all.

    Raises:
        DataError: The file cannot be read as an image.
    """
    header = inspect(path, max_pixels)
    data = path if isinstance(path, bytes) else read_bytes(path, "picture")
    try:
        image = decode(tf.constant(data), header.decoder, short_side)
    except tf.errors.OpError as error:
        name = "image" if isinstance(path, bytes) else str(path)
        raise DataError(name, plain_error(error), REMEDY) from error
    return upright(image, header.orientation).numpy()


def plain_error(error: Any) -> str:
    """First line of a TensorFlow error without the names of its ops."""
    text = str(error.message).split("\n", 1)[0]
    return "cannot be decoded: " + text.rsplit("}} ", 1)[-1].split(" [Op:", 1)[0]
