"""Decoded pictures kept in memory, for training whose views never repeat.

Under random augmentation each epoch needs the pictures anew, and decoding a photo costs more than
the view that is cut out of it. What fits in the memory given is kept as it was decoded, so views
are the same to the bit; the rest is decoded each time.
"""

import threading
from typing import Any

from tlcli.contracts.data import ImageSource, Region
from tlcli.data.resize import part_of
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system.array_file import aligned_empty


class DecodedImages(ImageSource):
    """An image source that keeps what another one decoded.

    Attributes:
        room: Bytes that may still be kept.
        full: Whether a picture did not fit; then those that are not kept are decoded in part.
    """

    def __init__(self, images: ImageSource, room: int) -> None:
        """Keep nothing yet.

        Args:
            images: Another image source.
            room: Bytes of pixels that may be kept.
        """
        self.images, self.room, self.full = images, room, False
        self.heeds_warnings = images.heeds_warnings
        self._kept: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()
        self._none = np.zeros((0, 0, 3), np.uint8)

    def with_room(self, room: int) -> "DecodedImages":
        """The same with other room in all; of what is kept stays what fits."""
        made = DecodedImages(self.images, room)
        for key, pixels in self._kept.items():
            if pixels.nbytes <= made.room:
                made.room -= pixels.nbytes
                made._kept[key] = pixels
        return made

    def __len__(self) -> int:
        """Pictures that are kept."""
        return len(self._kept)

    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3); see ImageSource."""

        def find(row: Any) -> Any:
            return self._kept.get((int(row), short_side), self._none), np.bool_(self.full)

        def keep(row: Any, pixels: Any) -> Any:
            key = (int(row), short_side)
            with self._lock:
                self.full |= pixels.nbytes > self.room
                if key not in self._kept and pixels.nbytes <= self.room:
                    self.room -= pixels.nbytes
                    self._kept[key] = aligned(pixels)
            return pixels

        def kept() -> Tensor:
            made = self.images.image(index, short_side)
            made = tf.numpy_function(keep, [index, made], tf.uint8, stateful=False)
            return part_of(tf.ensure_shape(made, (None, None, 3)), region)

        def decoded() -> Tensor:
            return tf.cond(full, lambda: self.images.image(index, short_side, region), kept)

        # With functions that it holds for stateful, tf.data takes one picture at a time wherever
        # operations are to be deterministic.
        found, full = tf.numpy_function(find, [index], [tf.uint8, tf.bool], stateful=False)
        found, full = tf.ensure_shape(found, (None, None, 3)), tf.ensure_shape(full, ())
        return tf.cond(tf.size(found) > 0, lambda: part_of(found, region), decoded)

    def first_broken(self, rows: Any) -> DataError | None:
        """The picture that cannot be decoded, by name; see ImageSource."""
        return self.images.first_broken(rows)

    def hashes(self, rows: Any) -> Any:
        """Hash of each row; see ImageSource."""
        return self.images.hashes(rows)

    def known(self) -> Any:
        """Rows whose hash is known; see ImageSource."""
        return self.images.known()


def aligned(pixels: Any) -> Any:
    """A copy of uint8 (height, width, 3) that TensorFlow can use without copying it each time."""
    copy = aligned_empty(pixels.shape, np.uint8)
    copy[...] = pixels
    return copy
