"""Decode pictures inside tf.data: TensorFlow's ops where they are right, Pillow for the rest.

Alpha is dropped, not blended: the colours stored below a transparent pixel are used.
"""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tlcli.data._header import BY_JPEG, BY_PILLOW, REMEDY, inspect
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf


def _by_jpeg(data: Tensor, short_side: int = 0) -> Tensor:
    """At the smallest size libjpeg can give whose shorter side has `short_side` pixels."""

    def at(ratio: int) -> Tensor:
        # The default, INTEGER_FAST, is up to 5 levels off what every other decoder gives.
        method = "INTEGER_ACCURATE"
        return tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method=method)

    if not short_side:
        return at(1)
    sides = tf.io.extract_jpeg_shape(data)[:2]
    halvings = tf.reduce_sum(
        tf.cast(tf.reduce_min(sides) >= [short_side * ratio for ratio in (2, 4, 8)], tf.int32)
    )
    return tf.switch_case(halvings, [lambda ratio=ratio: at(ratio) for ratio in (1, 2, 4, 8)])


def _by_png(data: Tensor, _: int = 0) -> Tensor:
    return tf.io.decode_png(data, channels=3)


def _by_webp(data: Tensor, _: int = 0) -> Tensor:
    return tf.io.decode_webp(data, channels=3)[0]


def _by_pillow(data: Tensor, _: int = 0) -> Tensor:
    if tf.executing_eagerly():  # There numpy_function would cut NUL bytes off the end.
        return tf.constant(pillow_rgb(data.numpy()))
    image = tf.numpy_function(pillow_rgb, [data], tf.uint8, stateful=False)
    return tf.ensure_shape(image, (None, None, 3))


_DECODERS = (_by_jpeg, _by_png, _by_webp, _by_pillow)


def pillow_rgb(data: bytes) -> Any:
    """First frame of an encoded image by Pillow, uint8 (height, width, 3), as stored."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def decode(data: Tensor, decoder: Tensor, short_side: int = 0) -> Tensor:
    """Picture as stored, uint8 (height, width, 3).

    Args:
        data: Encoded image, string scalar.
        decoder: One of the BY_ numbers; a Python int fixes the choice in the graph.
        short_side: Pixels that the shorter side must keep, see ImageSource; 0 for all.
    """
    if isinstance(decoder, int):
        return _DECODERS[decoder](data, short_side)
    branches = [lambda by=by: by(data, short_side) for by in _DECODERS]
    return tf.switch_case(tf.cast(decoder, tf.int32), branches)


def upright(image: Tensor, orientation: Tensor) -> Tensor:
    """Picture as it is to be seen: EXIF orientation (1 to 8) applied, uint8 (height, width, 3)."""
    orientation = tf.cast(orientation, tf.int32)

    def is_one_of(*values: int) -> Tensor:
        return tf.reduce_any(tf.equal(orientation, values))

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(is_one_of(2, 3, 6, 7), lambda: image[:, ::-1], lambda: image)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: image[::-1], lambda: image)


class EncodedImages:
    """Pictures that are decoded one by one.

    Attributes:
        array: None: pictures differ in size.
    """

    array = None

    def __init__(
        self,
        read: Callable[[Tensor], Tensor],
        ids: Sequence[str],
        decoders: Any,
        orientations: Any,
        encoded: Callable[[int], bytes] | None = None,
    ) -> None:
        """Keep what is needed to decode a sample.

        Args:
            read: Encoded image (string scalar) of a row (int64 scalar), inside tf.data.
            ids: Names of the samples for messages.
            decoders: BY_ numbers, uint8 (samples,).
            orientations: EXIF orientations, uint8 (samples,).
            encoded: Encoded image of a row, outside of tf.data.
        """
        if encoded is not None:
            self.encoded = encoded
        self._read, self._ids = read, ids
        self._decoders, self._orientations = decoders, orientations

    def image(self, index: Tensor, short_side: int = 0) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB, upright; see ImageSource."""
        first = int(self._decoders[0])
        fixed = (self._decoders == first).all()
        decoder = first if fixed else tf.gather(self._decoders, index)
        image = decode(self._read(index), decoder, short_side)
        if (self._orientations != 1).any():
            image = upright(image, tf.gather(self._orientations, index))
        return tf.ensure_shape(image, (None, None, 3))

    def first_broken(self, rows: Sequence[int]) -> DataError | None:
        """Decode rows again to find the one that stopped a tf.data pipeline; None if all decode.

        TensorFlow's decoding errors do not say which file they mean.
        """

        def problem(row: int) -> DataError | None:
            try:
                self.image(tf.constant(row, tf.int64))
            except tf.errors.OpError as error:
                return DataError(self._ids[row], _plain(error), REMEDY)
            return None

        with ThreadPoolExecutor(4) as pool:
            return next(filter(None, pool.map(problem, map(int, rows))), None)


def file_images(paths: Sequence[str], ids: Sequence[str], scan: Any) -> EncodedImages:
    """Image source over whole files.

    Args:
        paths: Files, in the order of the manifest.
        ids: Their ids.
        scan: Its `decoders` and `orientations`, uint8 (samples,).
    """
    text = os.fsencode("".join(paths))
    lengths = np.fromiter(map(len, paths), np.int64, len(paths))
    if lengths.sum() != len(text):  # Letters of several bytes.
        lengths = np.fromiter((len(os.fsencode(p)) for p in paths), np.int64, len(paths))
    ends = np.cumsum(lengths)
    # Host tensors made once: inside a graph they are captured, not copied into the graph. One
    # text with its cuts takes a fraction of the memory and time of a tensor of strings.
    held: list[tuple[Tensor, Tensor]] = []

    def read(index: Tensor) -> Tensor:
        if not held:
            with tf.init_scope(), tf.device("/CPU:0"):
                held.append((tf.constant(text), tf.constant(np.concatenate([[0], ends]))))
        whole, cuts = held[0]
        start = tf.gather(cuts, index)
        path = tf.strings.substr(whole, start, tf.gather(cuts, index + 1) - start)
        return tf.io.read_file(path)

    def encoded(row: int) -> bytes:
        start = int(ends[row - 1]) if row else 0
        with open(text[start : int(ends[row])], "rb") as file:
            return file.read()

    return EncodedImages(read, ids, scan.decoders, scan.orientations, encoded)


def decode_file(path: str | Path, max_pixels: int, short_side: int = 0) -> Any:
    """Picture of one file exactly as training sees it, NumPy uint8 (height, width, 3), upright.

    Args:
        path: JPEG, PNG, BMP, GIF or WebP, whatever its extension.
        max_pixels: Width times height above which it is refused.
        short_side: Pixels that the shorter side must keep, see ImageSource; 0 for all.

    Raises:
        DataError: The file cannot be read as an image.
    """
    header = inspect(path, max_pixels)
    data = Path(path).read_bytes()
    try:
        image = decode(tf.constant(data), header.decoder, short_side)
    except tf.errors.OpError as error:
        raise DataError(str(path), _plain(error), REMEDY) from error
    return upright(image, header.orientation).numpy()


def _plain(error: Any) -> str:
    """First line of a TensorFlow error without the names of its ops."""
    text = str(error.message).split("\n", 1)[0]
    return "cannot be decoded: " + text.rsplit("}} ", 1)[-1].split(" [Op:", 1)[0]


__all__ = [
    "BY_JPEG",
    "BY_PILLOW",
    "EncodedImages",
    "decode",
    "decode_file",
    "file_images",
    "inspect",
    "pillow_rgb",
    "upright",
]
