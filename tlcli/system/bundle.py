"""A folder as one file: a zip whose members are stored as they are, each with its hash.

Nothing is compressed, so a bundle cannot hold more than it weighs; its first member lists names,
sizes and hashes of all others, and what differs from the list is refused before a file is made.
"""

import hashlib
import json
import os
import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from tlcli.errors import DataError
from tlcli.system import files, opened

LIST = "bundle.json"
VERSION = 1
REMEDY = "Carry it over again, or pack the folder again: tl pack FOLDER."
MOST_FILES = 100_000
# A zip knows no earlier day; the same folder gives the same bytes.
DAY = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20
# Names that devices have on some systems, and characters that some lack.
_BAD = re.compile(
    r"[\x00-\x1f\\:*?\"<>|]|(^|/)(\.{1,2}|)(/|$)|(^|/)(con|nul|prn|aux)(\.|/|$)", re.I
)


def write(file: BinaryIO, folder: Path, names: Sequence[str], what: str) -> None:
    """Write files of a folder as one file; the same files give the same bytes.

    Args:
        file: Where to.
        folder: That they lie in.
        names: Of them, below the folder, with slashes.
        what: What the folder is, for whoever reads the list.

    Raises:
        DataError: A file cannot be read, or changed meanwhile.
    """
    names = sorted(names)
    hashes = {name: files.sha256(folder / name) for name in names}
    about = {"version": VERSION, "what": what, "name": folder.absolute().name, "sha256": hashes}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_member(LIST), files.as_json(about))
        for name in names:
            digest = hashlib.sha256()
            with archive.open(_member(name), "w", force_zip64=True) as out:
                _copy(folder / name, out, digest)
            if digest.hexdigest() != hashes[name]:
                raise DataError(str(folder / name), "changed while it was read", "Pack it again.")


def _member(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, DAY)
    found.external_attr = (stat.S_IFREG | 0o644) << 16
    return found


def _copy(path: Path, out: IO[bytes], digest: Any) -> None:
    with opened.open_regular(path, "shard") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)


def is_bundle(path: Path) -> bool:
    """Whether a file is meant to be one: a regular file that begins as a zip of ours does."""
    try:
        if not path.is_file():
            return False
        with opened.open_regular(path, "shard") as file:
            head = file.read(30 + len(LIST))
    except (OSError, ValueError, DataError):
        return False
    return head[:4] == b"PK\x03\x04" and head[30:] == LIST.encode()


def unpack(path: Path, folder: Path) -> None:
    """Write the files of a bundle into an empty folder, each as its list says.

    Raises:
        DataError: It is damaged, or holds what no bundle holds; the folder may hold a part of it.
        WriteError: The disk takes no more.
    """
    with opened.open_regular(path, "shard") as file, opened.reading(path, REMEDY):
        size = os.fstat(file.fileno()).st_size
        with zipfile.ZipFile(file) as archive:
            members = {one.filename: one for one in archive.infolist()}
            hashes = _list(archive, path)
            _check(archive.infolist(), hashes, size, path)
            files.check_room(folder, size, f"files of {path.name}")
            for name, digest in hashes.items():
                _write(archive, members[name], folder / name, digest, path)


def _list(archive: zipfile.ZipFile, path: Path) -> Mapping[str, str]:
    member = archive.getinfo(LIST)
    if member.file_size > opened.MOST_BYTES["json"] or member.compress_type != zipfile.ZIP_STORED:
        raise DataError(str(path), f"has a {LIST} that is too large", REMEDY)
    found = json.loads(archive.read(member))
    if found["version"] != VERSION:
        raise DataError(str(path), f"is of version {found['version']}", "Update tl.")
    hashes: Mapping[str, str] = found["sha256"]
    for name, digest in hashes.items():
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise DataError(str(path), f"lists no hash of {name!r}", REMEDY)
    return hashes


def _check(
    members: Sequence[zipfile.ZipInfo], hashes: Mapping[str, str], size: int, path: Path
) -> None:
    """Refuse members that are not those of the list, or that could not be stored in its size."""
    names = [one.filename for one in members]
    if sorted(names) != sorted([LIST, *hashes]) or len(names) > MOST_FILES:
        raise DataError(str(path), f"holds other files than its {LIST} lists", REMEDY)
    if len({name.casefold() for name in names}) < len(names):
        raise DataError(str(path), "holds two files of one name", REMEDY)
    for one in members:
        if _BAD.search(one.filename) or one.is_dir() or _is_no_file(one):
            raise DataError(str(path), f"holds {one.filename!r}, which no run holds", REMEDY)
        if one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 0x1:
            raise DataError(str(path), f"holds {one.filename!r} compressed", REMEDY)
    if sum(one.file_size for one in members) > size:
        raise DataError(str(path), "says that it holds more than it weighs", REMEDY)


def _is_no_file(member: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(member.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _write(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path, digest: str, path: Path
) -> None:
    files.make_folder(place.parent)
    found = hashlib.sha256()
    with archive.open(member) as source, open(place, "xb") as out:
        while chunk := source.read(CHUNK):
            found.update(chunk)
            out.write(chunk)
    if found.hexdigest() != digest:
        raise DataError(str(path), f"holds another {member.filename} than was packed", REMEDY)
