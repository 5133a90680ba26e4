"""Image sources over arrays: in memory, memory-mapped, or converted picture by picture."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import ImageSource, Region
from tlcli.data.content import Contents, Origin
from tlcli.data.resize import part_of
from tlcli.data.stamps import stamp, stamps
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system.array_file import check_whole, is_mapped

# Up to here several memory-mapped uint8 parts are read into one array.
JOIN_BYTES = 2**30
_SAMPLE = 256
# Said of masks and of pictures that were divided by 255 and rounded.
_BINARY = "pictures hold 0 and 1 alone: read as 0-1; data.value_range=0-255 keeps them as they are"
_RANGES = {"0-1": (0.0, 1.0), "0-255": (0.0, 255.0), "-1-1": (-1.0, 1.0)}


@dataclass(frozen=True)
class Files:
    """Where arrays lie, so that what was hashed once need not be again.

    Attributes:
        paths: Their files.
        stamps: Of each, see stamps.stamps.
        numbers: File of each row.
        memory: What remembers the hashes, or None.
    """

    paths: Sequence[str]
    stamps: Any
    numbers: Sequence[int]
    memory: Path | None


class _Rows(ImageSource):
    """Pictures of one size by their row."""

    def __init__(self, shape: Sequence[int], count: int, files: Files | None) -> None:
        files = files or Files((), stamps(()), [0] * count, None)
        self._shape, self._files = tuple(shape), files
        # Hashes are of pictures as they are shown: another range of values is other content.
        self._contents = Contents(
            Origin(
                files.paths, np.asarray(files.numbers, np.int32), files.stamps,
                list(map(str, range(count))), self._whole, files.memory, unnamed=True,
            )
        )  # fmt: skip

    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB; see ImageSource."""
        image = tf.numpy_function(self._whole, [index], tf.uint8, stateful=False)
        image = tf.ensure_shape(image, self._shape)
        image = tf.repeat(image, 3, axis=-1) if self._shape[-1] == 1 else image
        return part_of(image, region)

    def _whole(self, row: Any) -> Any:
        """A picture, uint8 (height, width, 1 or 3), if its file is the one that was listed."""
        row = int(row)
        # What changes while it is read shows in the times after that.
        picture = np.ascontiguousarray(self.pick(row))
        if self._mapped(row):
            path = self._files.paths[self._files.numbers[row]]
            self._contents.taken(row, picture, stamp(path))
        else:
            self._contents.note(row, picture)
        return picture

    @abstractmethod
    def pick(self, row: int) -> Any:
        """Picture of one row, uint8 (height, width, 1 or 3)."""

    @abstractmethod
    def _mapped(self, row: int) -> bool:
        """Whether a row is read from its file each time."""

    def first_broken(self, rows: Any) -> DataError | None:
        """The first of some rows that cannot be shown, told; see ImageSource."""
        if self._contents.changed is not None:
            return self._contents.first_changed()
        for row in map(int, rows):
            try:
                self.pick(row)
            except DataError as error:
                return DataError(f"{error.where} picture {row}", error.problem, error.remedy)
        return None

    def hashes(self, rows: Any) -> Any:
        """Hash of each row; see ImageSource."""
        return self._contents.of(rows)

    def known(self) -> Any:
        """Rows whose hash is known; see ImageSource."""
        return self._contents.known()


class ArrayImages(_Rows):
    """Pictures of one size in one array.

    Attributes:
        array: uint8 (samples, height, width, 1 or 3).
    """

    def __init__(self, array: Any, files: Files | None = None) -> None:
        super().__init__(array.shape[1:], len(array), files)
        self.array = array

    def pick(self, row: int) -> Any:
        """Picture of one row, uint8 (height, width, 1 or 3)."""
        check_whole(self.array)
        return np.asarray(self.array[row])

    def _mapped(self, row: int) -> bool:
        return is_mapped(self.array)


class PartImages(_Rows):
    """Pictures of one size in several arrays, converted to uint8 when they are asked for."""

    def __init__(
        self, parts: Sequence[Any], convert: Callable[[Any], Any], files: Files | None = None
    ) -> None:
        """Keep the parts.

        Args:
            parts: Arrays (samples, height, width, 1 or 3), one after the other in the manifest.
            convert: Picture as stored to uint8.
            files: Where they lie.
        """
        self._parts, self._convert = parts, convert
        self._ends = np.cumsum([len(part) for part in parts])
        super().__init__(parts[0].shape[1:], int(self._ends[-1]), files)

    def pick(self, row: int) -> Any:
        """Picture of one row, uint8 (height, width, 1 or 3)."""
        part = self._part(row)
        start = self._ends[part] - len(self._parts[part])
        check_whole(self._parts[part])
        return self._convert(np.asarray(self._parts[part][row - start]))

    def _part(self, row: int) -> int:
        return int(np.searchsorted(self._ends, row, side="right"))

    def _mapped(self, row: int) -> bool:
        return is_mapped(self._parts[self._part(row)])


def array_source(
    place: str, parts: Sequence[Any], value_range: str, files: Files | None = None
) -> tuple[ImageSource, list[str]]:
    """Image source over the parts, and notes on how values are read."""
    if parts[0].dtype.kind in "bui" and value_range in ("auto", "0-1") and _only_0_and_1(parts):
        return PartImages(parts, _black_and_white, _shown_as(files, "binary")), [_BINARY]
    if parts[0].dtype == np.uint8:
        if value_range in ("0-1", "-1-1"):
            raise ConfigError(
                "data.value_range",
                f"got {value_range!r} for pictures of type uint8",
                "Give auto or 0-255.",
            )
        if len(parts) == 1:
            return ArrayImages(parts[0], files), []
        if sum(part.nbytes for part in parts) <= JOIN_BYTES:
            return ArrayImages(np.concatenate(parts), files), []
        return PartImages(parts, lambda picture: picture, files), []
    low, high, note = _range(place, parts, value_range)

    def to_uint8(picture: Any) -> Any:
        return convert(picture, low, high, place)

    return PartImages(parts, to_uint8, _shown_as(files, f"{low:g}_{high:g}")), note


def _shown_as(files: Files | None, values: str) -> Files | None:
    """Files whose hashes are those of pictures shown by other values of black and white."""
    if files is None or files.memory is None:
        return files
    return replace(files, memory=files.memory.with_name(f"{files.memory.stem}_{values}.npz"))


def _only_0_and_1(parts: Sequence[Any]) -> bool:
    """Whether no picture has another number: asked of all only where a few have none."""
    if parts[0].dtype.kind == "b":
        return True
    return all(_few(part).max() <= 1 for part in parts) and all(
        block.min() >= 0 and block.max() <= 1 for part in parts for block in _blocks(part)
    )


def _few(part: Any) -> Any:
    return part[np.unique(np.linspace(0, len(part) - 1, 8).astype(int))]


def _blocks(part: Any) -> Iterator[Any]:
    return (part[start : start + 1024] for start in range(0, len(part), 1024))


def _black_and_white(picture: Any) -> Any:
    return picture.astype(np.uint8) * np.uint8(255)


def convert(picture: Any, low: float, high: float, place: str) -> Any:
    """Numbers from low (black) to high (white) as uint8, rounded.

    Raises:
        DataError: A number outside, by more than a thousandth of the range, or not finite.
    """
    scaled = (picture.astype(np.float32) - low) / (high - low)
    if not ((scaled >= -1e-3) & (scaled <= 1 + 1e-3)).all():
        raise DataError(
            place,
            f"has a picture with values from {picture.min()} to {picture.max()}, outside "
            f"{low:g} to {high:g}",
            "Correct the array, or set data.value_range.",
        )
    return np.round(np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _range(place: str, parts: Sequence[Any], wanted: str) -> tuple[float, float, list[str]]:
    """Black and white of number arrays, judged by a sample spread over each part.

    Raises:
        DataError: The sample does not fit the range, or none of them.
    """
    if parts[0].dtype.kind not in "fiub":
        raise DataError(place, f"has pictures of type {parts[0].dtype}", "Save uint8.")
    samples = [
        part[np.unique(np.linspace(0, len(part) - 1, _SAMPLE).astype(int))] for part in parts
    ]
    low = min(float(sample.min()) for sample in samples)
    high = max(float(sample.max()) for sample in samples)
    choices = _RANGES if wanted == "auto" else {wanted: _RANGES[wanted]}
    if parts[0].dtype.kind != "f" and wanted == "auto":
        choices = {"0-255": _RANGES["0-255"]}
    for name in sorted(choices, key=("0-1", "-1-1", "0-255").index):
        black, white = choices[name]
        if black <= low and high <= white:
            seen = f"values from {low:g} to {high:g} in a sample"
            return black, white, [f"pictures are {parts[0].dtype}, {seen}: read as {name}"]
    raise DataError(
        place,
        f"has values from {low:g} to {high:g}, outside {' and '.join(choices)}",
        "Scale the pictures to one of 0-1, -1-1 and 0-255.",
    )
