"""Pictures in TFRecord files, found by file and offset."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tlcli.data.content import Contents, Origin
from tlcli.data.damage import Damage
from tlcli.data.encoded import EncodedImages, read_by
from tlcli.data.records import Index
from tlcli.data.stamps import stamp_of
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system.opened import open_regular, reading


class _Table:
    """Columns of all shards' indexes, the readable rows only."""

    def __init__(self, indexes: Sequence[Index], rows: Any) -> None:
        self._indexes, self.rows = indexes, rows

    def __call__(self, column: str) -> Any:
        return np.concatenate([getattr(index, column) for index in self._indexes])[self.rows]

    def shards(self) -> Any:
        """Number of the shard of each row, int32 (rows,)."""
        counts = [len(index.labels) for index in self._indexes]
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)[self.rows]


@dataclass(frozen=True)
class _Shards:
    """Files of records, as they were when they were indexed.

    Attributes:
        paths: The files.
        stamps: Of each, see stamps.stamps.
        memory: What remembers the hashes of their pictures.
    """

    paths: Sequence[Path]
    stamps: Any
    memory: Path


@dataclass(frozen=True)
class _Records:
    """Where the pictures of some samples lie in shards.

    Attributes:
        shards: The files.
        numbers: Which of them each sample is in, int32 (samples,).
        columns: prepared.COLUMNS by name, integers (samples,).
    """

    shards: _Shards
    numbers: Any
    columns: Mapping[str, Any]

    def keep(self, rows: Any) -> "_Records":
        """The rows given, int64 (rows,)."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return _Records(self.shards, self.numbers[rows], columns)

    def stamps(self) -> Any:
        """Stamp of each sample's shard, int64 (samples, 2)."""
        return self.shards.stamps[self.numbers]

    def read(self, row: int) -> tuple[bytes, tuple[int, int]]:
        """Bytes of a picture, and the stamp of its shard now.

        Raises:
            DataError: The shard cannot be read, or ends before the picture.
        """
        path = self.shards.paths[self.numbers[row]]
        length = int(self.columns["lengths"][row])
        with open_regular(path, "shard") as file, reading(path):
            now = stamp_of(os.fstat(file.fileno()))
            file.seek(int(self.columns["offsets"][row]))
            data = file.read(length)
        if len(data) < length:
            raise DataError(str(path), "is shorter than it was", "Restore it.")
        return data, now


def _images(records: _Records, ids: Any, damage: Damage) -> EncodedImages:
    """Image source that reads a picture's bytes from its shard."""
    shards = records.shards
    paths = [str(shard) for shard in shards.paths]

    def whole(row: int) -> bytes:
        try:
            data, now = records.read(row)
        except DataError as error:
            raise contents.other(row, f"cannot be read: {error.where} {error.problem}") from None
        return contents.taken(row, data, now)

    origin = Origin(paths, records.numbers, shards.stamps, ids, whole, shards.memory)
    contents = Contents(origin)
    headers = SimpleNamespace(**records.columns)
    return EncodedImages(lambda index: read_by(whole, index), ids, headers, whole, contents, damage)
