"""Parquet files of pictures: read at their place where they lie as they are, else by row group.

A writer that does not compress stores pictures one after the other, and then each is read like one
of a shard. Otherwise a picture is had by unpacking the group of rows that it is in; some groups are
kept, so that memory stays bounded.
"""

import functools
import hashlib
import mmap
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tlcli.data.arrow import Columns, arrow, batch_rows, columns_of
from tlcli.data.stamps import stamp, stamp_of
from tlcli.data.stored import Format, Row
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system.files import megabytes
from tlcli.system.opened import open_regular, reading

# Bytes of unpacked groups that are kept, and of one group that can be unpacked at all.
KEPT_BYTES, MOST_GROUP = 256 << 20, 2 << 30
# A group of so many bytes, unpacked for each picture, is worth a word.
LARGE_GROUP = 4 << 20
_BATCH = 256
_NONE = "holds no bytes of a picture"


def parquet_columns(path: Path, image: str | None, label: str | None) -> Columns:
    """Columns of a file.

    Raises:
        ConfigError: See columns_of; or pyarrow is not installed.
        DataError: It is no Parquet file, or has no such columns.
    """
    with _opened(path) as file:
        return columns_of(str(path), file.schema_arrow, image, label)


def _opened(path: Path) -> Any:
    """A file, its footer read."""
    module = arrow("Parquet", "pyarrow.parquet")
    with reading(path, "Write it again.", "is no whole Parquet file"):
        return module.ParquetFile(open_regular(path, "shard"))


def form(image: str | None, label: str | None, names: tuple[str, ...] | None) -> Format:
    """How Parquet files are gone through.

    Args:
        image: What data.image_column says.
        label: What data.label_column says.
        names: What the first file calls the classes; the others must do so, too.
    """
    told = hashlib.sha256(repr(names).encode()).hexdigest()
    key = f"parquet\0{image}\0{label}\0{told}"
    return Format(key, "files", functools.partial(_rows_named, image, label, names))


def _rows_named(
    image: str | None, label: str | None, names: tuple[str, ...] | None, path: Path
) -> Iterator[Row]:
    if parquet_columns(path, image, label).names != names:
        problem = "names its classes otherwise than the first file"
        raise DataError(str(path), problem, "Give files of one data set.")
    yield from rows(image, label, path)


def rows(image: str | None, label: str | None, path: Path) -> Iterator[Row]:
    """Rows of a file in order.

    Raises:
        DataError: It is damaged.
    """
    with _opened(path) as file, open_regular(path, "shard") as raw:
        columns = columns_of(str(path), file.schema_arrow, image, label)
        wanted = [columns.image, columns.label]
        number = 0
        for group in range(file.num_row_groups):
            places = _Places(file.metadata.row_group(group), columns, raw)
            with reading(path, "Write it again.", f"cannot be read in row group {group}"):
                batches = file.iter_batches(_BATCH, [group], wanted)
                for batch in batches:
                    for data, name, labels in batch_rows(str(path), batch, columns):
                        yield _row(data, name, labels, places, number)
                        number += 1


def _row(data: Any, name: str, labels: Any, places: "_Places", number: int) -> Row:
    if data is None:
        return Row(-1 - number, b"", labels, name, problem=_NONE)
    content = data.to_pybytes()
    offset = places.of(content)
    return Row(-1 - number if offset is None else offset, content, labels, name)


class _Places:
    """Where the pictures of a row group lie in the file, as far as they lie there as they are."""

    def __init__(self, group: Any, columns: Columns, raw: Any) -> None:
        """Begin before the first."""
        wanted = f"{columns.image}.bytes" if columns.nested else columns.image
        self._raw: mmap.mmap | None = None
        for number in range(group.num_columns):
            column = group.column(number)
            if column.path_in_schema == wanted and column.compression == "UNCOMPRESSED":
                self._at = column.data_page_offset
                if column.has_dictionary_page and column.dictionary_page_offset:
                    self._at = min(self._at, column.dictionary_page_offset)
                self._end = self._at + column.total_compressed_size
                self._raw = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)

    def of(self, data: bytes) -> int | None:
        """Offset of the next picture; None where it cannot be found, and of all after that."""
        if self._raw is None:
            return None
        # As Parquet's plain encoding has it: the length, then the bytes.
        found = self._raw.find(len(data).to_bytes(4, "little") + data, self._at, self._end)
        if found < 0:
            self._raw = None
            return None
        self._at = found + 4 + len(data)
        return int(found) + 4


class Groups:
    """Pictures of compressed files, some groups of rows kept unpacked."""

    def __init__(self, image: str | None, label: str | None, kept_bytes: int = KEPT_BYTES) -> None:
        """Keep nothing yet."""
        self._named, self._room = (image, label), kept_bytes
        self._kept: OrderedDict[tuple[str, int], tuple[Any, Any, int]] = OrderedDict()
        self._lock, self._used = threading.Lock(), 0
        self._files: dict[tuple[str, tuple[int, int]], tuple[Columns, Any]] = {}
        self._loading: dict[tuple[str, int], threading.Lock] = {}

    def read(self, path: Path, number: int) -> tuple[bytes, tuple[int, int]]:
        """Bytes of a row, and the stamp that its file had when it was unpacked.

        Raises:
            DataError: The file cannot be read any more, or has no such row.
        """
        group, row = self._place(path, number)
        key = (str(path), group)
        with self._lock:
            waiting = self._loading.setdefault(key, threading.Lock())
        with waiting:
            column, listed = self._group(path, group)
        with reading(path):
            value = column[row]
            return (value.as_buffer().to_pybytes() if value.is_valid else b""), listed

    def _place(self, path: Path, number: int) -> tuple[int, int]:
        """Group of a row, and its place in it."""
        ends = self._file(path)[1]
        group = int(np.searchsorted(ends, number, side="right"))
        if group >= len(ends):
            raise DataError(str(path), "has fewer rows than it had", "Restore it.")
        return group, number - (int(ends[group - 1]) if group else 0)

    def _file(self, path: Path) -> tuple[Columns, Any]:
        """Columns and ends of the groups of a file as it is now."""
        key = (str(path), stamp(path))
        with self._lock:
            found = self._files.get(key)
        if found is None:
            with _opened(path) as file:
                columns = columns_of(str(path), file.schema_arrow, *self._named)
                sizes = [file.metadata.row_group(one).num_rows for one in
                         range(file.num_row_groups)]  # fmt: skip
            found = columns, np.cumsum(sizes)
            with self._lock:
                self._files[key] = found
        return found

    def _group(self, path: Path, group: int) -> tuple[Any, tuple[int, int]]:
        """The pictures of a group, and the stamp of the file when they were read."""
        key, now = (str(path), group), stamp(path)
        with self._lock:
            held = self._kept.get(key)
            if held is not None and held[1] == now:
                self._kept.move_to_end(key)
                return held[0], now
        column, size, listed = self._unpacked(path, group)
        with self._lock:
            self._used += size - (self._kept.pop(key)[2] if key in self._kept else 0)
            self._kept[key] = (column, listed, size)
            while self._used > self._room and len(self._kept) > 1:
                self._used -= self._kept.popitem(last=False)[1][2]
        return column, listed

    def _unpacked(self, path: Path, group: int) -> tuple[Any, int, tuple[int, int]]:
        columns = self._file(path)[0]
        with open_regular(path, "shard") as raw, _opened(path) as file:
            listed = stamp_of(os.fstat(raw.fileno()))
            check_group(path, file.metadata.row_group(group), group)
            wanted = f"{columns.image}.bytes" if columns.nested else columns.image
            with reading(path, "Write it again.", f"cannot be read in row group {group}"):
                column = file.read_row_group(group, [wanted]).column(0).combine_chunks()
        if columns.nested:
            column = column.flatten()[0]
        return column, column.nbytes, listed

    def notes(self, paths: Sequence[Path]) -> list[str]:
        """A word on files whose pictures are had by unpacking much; asked of the first few."""
        sizes = []
        for path in paths[:4]:
            with _opened(path) as file:
                groups = map(file.metadata.row_group, range(min(4, file.num_row_groups)))
                sizes += [group.total_byte_size for group in groups]
        if (most := max(sizes, default=0)) < LARGE_GROUP:
            return []
        return [f"rows are compressed, and {megabytes(most)} of them unpacked for each picture: "
                "faster without compression, in smaller groups, or after tl prepare"]  # fmt: skip


def check_group(path: Path, group: Any, number: int) -> None:
    """Refuse a group of rows that would fill the memory.

    Raises:
        DataError: It would.
    """
    if group.total_byte_size > MOST_GROUP:
        raise DataError(
            str(path), f"has {megabytes(group.total_byte_size)} in row group {number}, which must "
            "be unpacked for each picture", "Write it without compression, or in smaller groups.",
        )  # fmt: skip
