"""Shards of pictures as tar archives: members of one sample share the name before its first dot."""

import json
import os
import tarfile
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.data.stored import Format, Row
from tlcli.errors import DataError
from tlcli.system.opened import MOST_BYTES, open_regular, reading, reason
from tlcli.system.shown import shown

PICTURES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff")
LABELS = ("cls", "txt", "json")
# Keys of a .json that hold a label, or a list of them.
KEYS = ("labels", "label", "cls", "class", "class_name")
MOST_LABEL_BYTES = 1 << 20
_RESTORE = "Restore the shard from where it came, or write it again."
_BLOCK = 512


def rows(path: Path) -> Iterator[Row]:
    """Samples of a shard in order.

    Raises:
        DataError: It is no whole, plain tar archive, or a label is none.
    """
    with open_regular(path, "shard") as file:
        _check_plain(path, file)
        sample: dict[str, tarfile.TarInfo] = {}
        before = ""
        for member in _members(path, file):
            key, ending = _parted(member.name)
            if key != before and sample:
                yield from _sample(path, file, sample)
                sample = {}
            before = key
            if _last(ending) in (*PICTURES, *LABELS):
                _check_new(path, member, ending, sample)
                sample[ending] = member
        yield from _sample(path, file, sample)


FORMAT = Format("tar", "shards", rows)


def _check_plain(path: Path, file: BinaryIO) -> None:
    start = file.read(6)
    file.seek(0)
    if start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start in (b"\xfd7zXZ\0",) or (
        start[:4] == b"\x28\xb5\x2f\xfd"
    ):  # fmt: skip
        problem = "is compressed, so that no picture can be read alone"
        raise DataError(str(path), problem, "Unpack it to a plain .tar.")


def _members(path: Path, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Files of an archive, each wholly there, up to its end mark.

    Raises:
        DataError: It is cut off, has a hole, or is no archive.
    """
    size = os.fstat(file.fileno()).st_size
    with reading(path, _RESTORE, "is no tar archive, or damaged"):
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - closed with its file
        while (member := _next(path, archive)) is not None:
            if member.offset_data + member.size > size:
                problem = f"ends within {shown(member.name)}, at byte {size:,}"
                raise DataError(str(path), problem, _RESTORE)
            if member.isfile():
                yield member
        _check_end(path, file, archive.offset, size)


def _next(path: Path, archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next member; none are kept, for a shard may have millions."""
    try:
        member = archive.next()
    except tarfile.TarError as error:
        problem = f"is damaged at byte {archive.offset:,} ({reason(error)})"
        raise DataError(str(path), problem, _RESTORE) from None
    archive.members.clear()  # type: ignore[attr-defined] # which the type stubs lack
    return member


def _check_end(path: Path, file: BinaryIO, at: int, size: int) -> None:
    """Refuse an archive without its mark of the end, or with more behind it: it has a hole."""
    file.seek(at)
    if len(file.read(_BLOCK)) < _BLOCK:
        raise DataError(str(path), f"ends without the mark of its end, at {size:,}", _RESTORE)
    place = at
    file.seek(at)
    while block := file.read(1 << 20):
        if block.strip(b"\0"):
            further = place + len(block) - len(block.lstrip(b"\0"))
            problem = f"has a hole: nothing from byte {at:,} to {further:,}, and more after it"
            if further == at:
                problem = f"is damaged at byte {at:,}, where a member should begin"
            raise DataError(str(path), problem, _RESTORE)
        place += len(block)


def _check_new(
    path: Path, member: tarfile.TarInfo, ending: str, sample: dict[str, tarfile.TarInfo]
) -> None:
    if ending in sample:
        raise DataError(f"{path} {shown(member.name)}", "is there twice", _RESTORE)
    if member.issparse():
        problem = "is stored with holes, so that it cannot be read alone"
        raise DataError(
            f"{path} {shown(member.name)}", problem, "Write the shard without --sparse."
        )


def _parted(name: str) -> tuple[str, str]:
    """What the members of a sample have in common, and the rest of a name, lower case."""
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return folder + slash + stem, ending.lower()


def _last(ending: str) -> str:
    return ending.rpartition(".")[2]


def _chosen(
    path: Path, sample: dict[str, tarfile.TarInfo], endings: Sequence[str]
) -> tarfile.TarInfo | None:
    """The member of a sample with such an ending: the whole of it, or else the last part.

    Raises:
        DataError: There are several.
    """
    for one in endings:
        if one in sample:
            return sample[one]
    found = [member for ending, member in sample.items() if _last(ending) in endings]
    if len(found) > 1:
        names = " and ".join(shown(member.name) for member in found[:2])
        problem = f"has {names} in one sample, which ends at the first dot of a name"
        raise DataError(str(path), problem, "Write names without further dots.")
    return found[0] if found else None


def _sample(path: Path, file: BinaryIO, sample: dict[str, tarfile.TarInfo]) -> Iterator[Row]:
    """The row of a sample; none where it has no picture."""
    picture = _chosen(path, sample, PICTURES)
    if picture is None:
        return
    labels: Sequence[int | str] = ()
    for ending in LABELS:
        member = None if labels else _chosen(path, sample, (ending,))
        if member is not None:
            labels = _labels(path, member, _content(file, member))
    name = unicodedata.normalize("NFC", picture.name.removeprefix("./"))
    most = MOST_BYTES["picture"]
    if picture.size > most:
        problem = f"has {picture.size:,} bytes, {most:,} are the most for a picture"
        yield Row(picture.offset_data, b"", labels, name, problem=problem)
    else:
        yield Row(picture.offset_data, _content(file, picture), labels, name)


def _content(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    """Bytes of a member, for whoever reads members one after the other."""
    back = file.tell()
    file.seek(member.offset_data)
    data = file.read(min(member.size, MOST_BYTES["picture"]))
    file.seek(back)
    return data


def _labels(path: Path, member: tarfile.TarInfo, data: bytes) -> Sequence[int | str]:
    """Labels that a member tells.

    Raises:
        DataError: It tells none that can be read.
    """
    place = f"{path} {shown(member.name)}"
    if len(data) > MOST_LABEL_BYTES:
        raise DataError(place, f"has {len(data):,} bytes, too many for a label", "Correct it.")
    try:
        text = unicodedata.normalize("NFC", data.decode("utf-8").strip())
        if not member.name.lower().endswith(".json"):
            return () if not text else (_number_or_name(text),)
        held = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(place, "is no UTF-8 text, or no JSON", "Correct it.") from None
    if isinstance(held, dict):
        held = next((held[key] for key in KEYS if key in held), None)
    found = held if isinstance(held, list) else [] if held is None else [held]
    if not all(isinstance(one, (int, str)) and not isinstance(one, bool) for one in found):
        raise DataError(place, "has a label that is no number and no text", "Correct it.")
    return tuple(one.strip() if isinstance(one, str) else one for one in found)


def _number_or_name(text: str) -> int | str:
    digits: Any = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else text
