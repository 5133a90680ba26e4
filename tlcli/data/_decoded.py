"""Decoded pictures kept in memory, for training whose views never repeat.

Under random augmentation each epoch needs the pictures anew, and decoding a photo costs more than
the view that is cut out of it. What fits in the memory given is kept as it was decoded, so views
are the same to the bit; the rest is decoded each time.
"""

import threading
from typing import Any

from tlcli.lazy import Tensor, np, tf


class DecodedImages:
    """An image source that keeps what another one decoded.

    Attributes:
        array: None: pictures differ in size.
        room: Bytes that may still be kept.
    """

    array = None

    def __init__(self, images: Any, room: int) -> None:
        """Keep nothing yet.

        Args:
            images: Another image source.
            room: Bytes of pixels that may be kept.
        """
        self.images, self.room = images, room
        self._kept: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()
        self._none = np.zeros((0, 0, 3), np.uint8)

    def __len__(self) -> int:
        """Pictures that are kept."""
        return len(self._kept)

    def image(self, index: Tensor, short_side: int = 0) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3); see ImageSource."""

        def find(row: Any) -> Any:
            return self._kept.get((int(row), short_side), self._none)

        def keep(row: Any, pixels: Any) -> Any:
            key = (int(row), short_side)
            with self._lock:
                if key not in self._kept and pixels.nbytes <= self.room:
                    self.room -= pixels.nbytes
                    self._kept[key] = pixels.copy()
            return np.int64(0)

        def decoded() -> Tensor:
            made = self.images.image(index, short_side)
            with tf.control_dependencies([tf.numpy_function(keep, [index, made], tf.int64)]):
                return tf.identity(made)

        found = tf.numpy_function(find, [index], tf.uint8)
        found = tf.ensure_shape(found, (None, None, 3))
        return tf.cond(tf.size(found) > 0, lambda: found, decoded)

    def first_broken(self, rows: Any) -> Any:
        """The picture that cannot be decoded, by name; see EncodedImages."""
        finder = getattr(self.images, "first_broken", None)
        return finder(rows) if finder else None
