"""Files that TensorFlow Datasets writes: a tf.train.Example a picture, in array_record or TFRecord.

A TFRecord file holds pictures as they are, and they are read there. An array_record file is packed,
each record by itself; its own reader gives any of them.
"""

import functools
import importlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcli.data import records
from tlcli.data.stamps import stamp, stamp_of
from tlcli.data.stored import Format, Row
from tlcli.data.tfds import ABOUT, REMEDY, Built
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import tf
from tlcli.system.opened import open_regular, reading

# What an array_record file begins with; files that are kept open.
_MAGIC, MOST_OPEN = b"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f", 64
_BATCH = 64
_NONE = "is no whole array_record file"


def form(built: Built, counts: Mapping[Path, int]) -> Format:
    """How the files of a data set are gone through.

    Args:
        built: The data set.
        counts: Rows that each file is told to hold.
    """
    columns = built.columns
    key = f"tfds\0{built.format}\0{columns.image}\0{columns.label}\0{built.name}"
    return Format(key, "files", functools.partial(_rows, built, counts))


def _rows(built: Built, counts: Mapping[Path, int], path: Path) -> Iterator[Row]:
    """Rows of a file in order.

    Raises:
        DataError: It is damaged, or holds another number of rows than is told of it.
    """
    packed, number = built.format == "array_record", -1
    for number, (start, record) in enumerate(_unpacked(path) if packed else records.framed(path)):
        place = f"{path} record {number}"
        features = _features(place, record)
        data = _picture(place, features, built.columns.image)
        offset = -1 - number if packed else start + record.find(data)
        yield Row(offset, data, _labels(features, built.columns.label), _text(features, built.name))
    if number + 1 != counts[path]:
        problem = f"has {number + 1} rows, and {ABOUT} tells of {counts[path]}"
        raise DataError(str(path), problem, REMEDY)


def _unpacked(path: Path) -> Iterator[tuple[int, bytes]]:
    """Zero and the bytes of each record of an array_record file."""
    reader = _opened(path)
    for start in range(0, reader.num_records(), _BATCH):
        with reading(path, REMEDY, f"is damaged behind record {start}"):
            found = reader.read(list(range(start, min(start + _BATCH, reader.num_records()))))
        yield from ((0, record) for record in found)


def _opened(path: Path) -> Any:
    """The reader of an array_record file.

    Raises:
        ConfigError: What reads such files is not installed.
        DataError: It is none.
    """
    try:
        module = importlib.import_module("array_record.python.array_record_module")
    except ImportError:
        problem = "array_record, which reads it, is not installed"
        raise ConfigError("data", problem, "Install it with: pip install 'tlcli[tfds]'.") from None
    # Its reader opens it by its name; until then what stands for an object is fetched.
    with open_regular(path, "shard") as file, reading(path, REMEDY, _NONE):
        whole = file.read(len(_MAGIC)) == _MAGIC
        reader = module.ArrayRecordReader(str(path), options="readahead_buffer_size:0")
        if not whole or not reader.ok():
            raise ValueError("its ends do not fit")
        return reader


def _features(place: str, record: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise DataError(place, "is no tf.train.Example", REMEDY) from error


def _picture(place: str, features: Any, name: str) -> bytes:
    found: Sequence[bytes] = features[name].bytes_list.value if name in features else ()
    if len(found) != 1:
        raise DataError(place, f"has {len(found)} pictures in {name}", REMEDY)
    return found[0]


def _labels(features: Any, name: str) -> Sequence[int | str]:
    if name not in features:
        return ()
    texts = [one.decode("utf-8", "replace") for one in features[name].bytes_list.value]
    # -1 stands for no label where splits have none.
    return [one for one in (*features[name].int64_list.value, *texts) if one not in (-1, "")]


def _text(features: Any, name: str | None) -> str:
    if name is None or name not in features:
        return ""
    return b"".join(features[name].bytes_list.value).decode("utf-8", "replace")


class Packed:
    """Pictures of array_record files, some of the files kept open."""

    def __init__(self, image: str) -> None:
        """Open nothing yet."""
        self._image, self._lock = image, threading.Lock()
        self._open: OrderedDict[Path, tuple[tuple[int, int], Any, threading.Lock]] = OrderedDict()

    def read(self, path: Path, number: int) -> tuple[bytes, tuple[int, int]]:
        """Bytes of a row, and the stamp that its file had when it was opened.

        Raises:
            DataError: The file cannot be read any more, or has no such row.
        """
        listed, reader, own = self._reader(path)
        if number >= reader.num_records():
            raise DataError(str(path), "has fewer rows than it had", "Restore it.")
        with own, reading(path, REMEDY, f"is damaged at record {number}"):
            (record,) = reader.read([number])
        place = f"{path} record {number}"
        return _picture(place, _features(place, record), self._image), listed

    def _reader(self, path: Path) -> tuple[tuple[int, int], Any, threading.Lock]:
        """A file as it is now: its stamp, what reads it, and who does so."""
        now = stamp(path)
        with self._lock:
            if path in self._open and self._open[path][0] == now:
                self._open.move_to_end(path)
                return self._open[path]
            with open_regular(path, "shard") as raw:
                listed = stamp_of(os.fstat(raw.fileno()))
            found = self._open[path] = (listed, _opened(path), threading.Lock())
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
        return found

    def notes(self, _: Sequence[Path]) -> list[str]:
        """Nothing: each record is unpacked by itself."""
        return []
