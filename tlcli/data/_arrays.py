"""Image sources over arrays: in memory, memory-mapped, or converted picture by picture."""

from collections.abc import Callable, Sequence
from typing import Any

from tlcli.lazy import Tensor, np, tf


class ArrayImages:
    """Pictures of one size in one array.

    Attributes:
        array: uint8 (samples, height, width, 1 or 3).
    """

    def __init__(self, array: Any) -> None:
        self.array = array

    def image(self, index: Tensor) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB; see ImageSource."""
        return _colour(index, lambda row: np.asarray(self.array[row]), self.array.shape[1:])


class PartImages:
    """Pictures of one size in several arrays, converted to uint8 when they are asked for.

    Attributes:
        array: None: the parts are not one uint8 array.
    """

    array = None

    def __init__(self, parts: Sequence[Any], convert: Callable[[Any], Any]) -> None:
        """Keep the parts.

        Args:
            parts: Arrays (samples, height, width, 1 or 3), one after the other in the manifest.
            convert: Picture as stored to uint8.
        """
        self._parts, self._convert = parts, convert
        self._ends = np.cumsum([len(part) for part in parts])

    def image(self, index: Tensor) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB; see ImageSource."""
        return _colour(index, self.pick, self._parts[0].shape[1:])

    def pick(self, row: int) -> Any:
        """Picture of one row, uint8 (height, width, 1 or 3)."""
        part = int(np.searchsorted(self._ends, row, side="right"))
        start = self._ends[part] - len(self._parts[part])
        return self._convert(np.asarray(self._parts[part][row - start]))


def _colour(index: Tensor, pick: Callable[[Any], Any], shape: Sequence[int]) -> Tensor:
    image = tf.numpy_function(pick, [index], tf.uint8, stateful=False)
    image = tf.ensure_shape(image, tuple(shape))
    return tf.repeat(image, 3, axis=-1) if shape[-1] == 1 else image
