"""Pictures in TFRecord files, found by file and offset."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tlcli.data.content import Contents, Origin, stamp_of
from tlcli.data.encoded import EncodedImages
from tlcli.data.records import Index
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf


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
    """Files of records, as they were when they were indexed, and what remembers their hashes."""

    paths: Sequence[Path]
    stamps: Any
    memory: Path


def _images(shards: _Shards, numbers: Any, columns: Mapping[str, Any], ids: Any) -> EncodedImages:
    """Image source that reads a picture's bytes from its shard.

    Args:
        shards: Files.
        numbers: Which of them each sample is in, int32 (samples,).
        columns: offsets, lengths, decoders, orientations, heights, widths, integers (samples,).
        ids: Sample ids.
    """
    paths = [str(shard) for shard in shards.paths]
    offsets, lengths = columns["offsets"], columns["lengths"]

    def whole(row: int) -> bytes:
        number = numbers[row]
        with open(paths[number], "rb", buffering=0) as file:
            if stamp_of(os.fstat(file.fileno())) != tuple(shards.stamps[number].tolist()):
                raise DataError(paths[number], "was changed", "Run the command again.")
            file.seek(int(offsets[row]))
            data = file.read(int(lengths[row]))
        if len(data) < lengths[row]:
            raise DataError(ids[row], "is not there any more", "Run the command again.")
        return data

    def read_bytes(row: int) -> bytes:
        data = whole(int(row))
        contents.note(int(row), data)
        return data

    def read(index: Tensor) -> Tensor:
        data = tf.numpy_function(read_bytes, [index], tf.string, stateful=False)
        return tf.ensure_shape(data, ())

    contents = Contents(Origin(paths, numbers, shards.stamps, ids, whole, shards.memory))
    return EncodedImages(read, ids, SimpleNamespace(**columns), read_bytes, contents)
