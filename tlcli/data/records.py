"""TFRecord shards by row: where each record's picture lies, found in one pass and kept."""

import functools
import hashlib
import json
import os
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.data.header import BY_PILLOW, quiet_pillow
from tlcli.data.scan import header_or_problem
from tlcli.data.stamps import stamp
from tlcli.errors import DataError
from tlcli.lazy import np, tf
from tlcli.system import cache, console
from tlcli.system.array_file import load_npz

_VERSION = 3
_COLUMNS = (
    "offsets",
    "lengths",
    "labels",
    "decoders",
    "orientations",
    "widths",
    "heights",
    "checksums",
)
_FRAME = struct.Struct("<QI")
_DAMAGED = "Restore the shard from where it came."
_REMEDY = "Write the shard again, without compression."


@dataclass(frozen=True)
class Index:
    """What is known of one shard; arrays (records,).

    Attributes:
        offsets: First byte of the encoded picture in the file, int64.
        lengths: Bytes of the encoded picture, int64.
        labels: image/class/label, int64; -1 where missing.
        decoders: BY_ numbers, int64.
        orientations: EXIF orientation, int64.
        widths: Pixels, upright, int64.
        heights: Pixels, upright, int64.
        checksums: CRC-32 of the picture's ends, int64.
        texts: image/class/text, "" where missing.
        problems: Record to the reason why its picture is unreadable.
    """

    offsets: Any
    lengths: Any
    labels: Any
    decoders: Any
    orientations: Any
    widths: Any
    heights: Any
    checksums: Any
    texts: Sequence[str]
    problems: dict[int, str]


def index_shards(paths: Sequence[Path], max_pixels: int, cache_dir: Path) -> list[Index]:
    """Index of each shard, from the cache where path, size, times and inode are the same.

    Raises:
        DataError: A shard that is no whole, uncompressed TFRecord file of such examples.
    """
    with quiet_pillow(), ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(lambda path: _index(path, max_pixels, cache_dir), paths)
        return list(console.staged(read, "indexing", len(paths), "shards"))


def _index(path: Path, max_pixels: int, cache_dir: Path) -> Index:
    listed = stamp(path)
    key = f"{_VERSION}\0{path.resolve()}\0{max_pixels}\0{listed}"
    kept = cache_dir / f"tfrecord-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    index = cache.read(kept, _load)
    if index is None:
        index = _build(path, max_pixels)
        _save(kept, index)
    return index


def _build(path: Path, max_pixels: int) -> Index:
    """Read a shard from end to end; each record's checksum is compared."""
    rows: list[tuple[int, ...]] = []
    texts: list[str] = []
    problems: dict[int, str] = {}
    for number, (start, record) in enumerate(_records(path)):
        encoded, label, text = _example(f"{path} record {number}", record)
        place = (start + record.find(encoded), len(encoded), label)
        header = header_or_problem(encoded, max_pixels)
        if isinstance(header, str):
            problems[number] = header
            rows.append((*place, BY_PILLOW, 1, 0, 0, 0))
        else:
            size = (header.width, header.height)
            rows.append((*place, header.decoder, header.orientation, *size, header.checksum))
        texts.append(text)
    table = np.array(rows, np.int64).reshape(-1, len(_COLUMNS)).T
    columns = dict(zip(_COLUMNS, table, strict=True))
    return Index(**columns, texts=texts, problems=problems)


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each record, its checksums compared."""
    at = 0
    for record in _whole_records(path):
        yield at + _FRAME.size, record
        at += _FRAME.size + len(record) + 4
    if at != path.stat().st_size:
        raise _fault(path)


def _whole_records(path: Path) -> Iterator[bytes]:
    """Records as TensorFlow reads them, which compares checksums; ends before a damaged one."""
    # A dataset of tf.data would take longer to begin than a small shard to be read.
    try:
        yield from tf.compat.v1.io.tf_record_iterator(str(path))
    except tf.errors.OpError:
        return


def _fault(path: Path) -> DataError:
    """What is wrong with a shard that cannot be read to its end.

    Raises:
        DataError: It is not even a row of records.
    """
    good = sum(1 for _ in _whole_records(path))
    with open(path, "rb") as file:
        for number, _ in enumerate(_frames(path, file)):
            if number == good:
                break
    problem = "is damaged: its checksum does not fit"
    return DataError(f"{path} record {good}", problem, _DAMAGED)


def _frames(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each record; the checksum of each length is compared."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while at < size:
        head = file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            raise DataError(str(path), "ends within a record", _REMEDY)
        length, given = _FRAME.unpack(head)
        if masked_crc(head[:8]) != given:
            compressed = at == 0 and head[:2] in (b"\x1f\x8b", b"\x78\x9c")
            what = "is compressed" if compressed else f"is no TFRecord, or broken at byte {at}"
            raise DataError(str(path), what, _REMEDY)
        start = at + _FRAME.size
        at = start + length + 4
        if at > size:
            raise DataError(str(path), "ends within a record", _REMEDY)
        yield start, file.read(length)
        file.seek(4, os.SEEK_CUR)


@functools.cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def masked_crc(data: bytes) -> int:
    """CRC-32C (Castagnoli) as TFRecord stores it: rotated by 15 bits, plus a constant."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _example(place: str, record: bytes) -> tuple[bytes, int, str]:
    """Encoded picture, label and class text of a serialized tf.train.Example."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        example = tf.train.Example.FromString(record)
    except DecodeError as error:
        raise DataError(place, "is no tf.train.Example", _REMEDY) from error
    feature = example.features.feature
    keys = sorted(feature)  # Before any is asked for: asking adds a missing one.
    encoded = feature["image/encoded"].bytes_list.value
    if len(encoded) != 1:
        raise DataError(
            place,
            f"has no image/encoded; it has {', '.join(keys) or 'nothing'}",
            "Write image/encoded (bytes) and image/class/label (int64).",
        )
    labels = feature["image/class/label"].int64_list.value
    texts = feature["image/class/text"].bytes_list.value
    text = texts[0].decode("utf-8", "replace") if texts else ""
    return encoded[0], labels[0] if labels else -1, unicodedata.normalize("NFC", text)


def _load(path: Path) -> Index:
    found = load_npz(path)
    columns = {name: found[name] for name in _COLUMNS}
    words = json.loads(found["words"].tobytes())
    problems = {int(row): str(why) for row, why in words["problems"].items()}
    return Index(**columns, texts=words["texts"], problems=problems)


def _save(path: Path, index: Index) -> None:
    words = {name: getattr(index, name) for name in ("texts", "problems")}
    columns = {name: getattr(index, name) for name in _COLUMNS}
    columns["words"] = np.frombuffer(json.dumps(words).encode(), np.uint8)
    cache.write(path, lambda file: np.savez(file, **columns))
