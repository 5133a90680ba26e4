"""TFRecord shards: where the picture of each record lies."""

import functools
import os
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tlcli.data.stored import Format, Row
from tlcli.errors import DataError
from tlcli.lazy import tf
from tlcli.system.opened import open_regular

_FRAME = struct.Struct("<QI")
_DAMAGED = "Restore the shard from where it came."
_REMEDY = "Write the shard again, without compression."


def rows(path: Path) -> Iterator[Row]:
    """Pictures of a shard from end to end; each record's checksum is compared.

    Raises:
        DataError: It is no whole, uncompressed TFRecord file of such examples.
    """
    # TensorFlow opens it by its name; until then what stands for an object is fetched.
    with open_regular(path, "shard"):
        for number, (start, record) in enumerate(framed(path)):
            encoded, label, text = _example(f"{path} record {number}", record)
            labels = () if label < 0 else (label,)
            yield Row(start + record.find(encoded), encoded, labels, text=text)


FORMAT = Format("tfrecord", "shards", rows)


def framed(path: Path) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each record, its checksums compared.

    Raises:
        DataError: It is no whole, uncompressed TFRecord file.
    """
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
