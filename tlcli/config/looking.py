"""What a folder or file of data is, told by names and a few headers; nothing is decoded.

A look is bounded: names of a folder, folders, levels, and bytes of a table's first line.
Links are followed once, pipes and devices are named and never opened.
"""

import contextlib
import csv
import itertools
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tlcli.errors import TlError
from tlcli.system.opened import open_regular

# Names of the folder that are read, and of one below it; folders of one look, levels below its
# root; tables of a folder whose first line is read, and bytes of it.
MOST_NAMES, MOST_BELOW, MOST_FOLDERS, MOST_LEVELS, MOST_TABLES = 50_000, 500, 2_000, 8, 20
HEADER = 4096
# Pictures of unknown names whose first bytes are asked for, of each folder.
ASKED = 3
# Those that are read; of HEIC the option of the data says what reads it.
PICTURES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp",
    ".tif", ".tiff", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".jpf", ".jpc",
)  # fmt: skip
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
# What `datasets` writes into the folder of one split.
_SAVED = {"dataset_info.json", "state.json"}
# What TensorFlow Datasets writes into the folder of a version.
_BUILT = {"dataset_info.json", "features.json"}
# Members of an archive that are looked at, and what holds the label of a sample.
MOST_MEMBERS, LABELS = 8, (".cls", ".txt", ".json")
ARCHIVES = (
    ".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar",
    ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst",
)  # fmt: skip
_SHARD = re.compile(r"\.(tfrecords?|tfrec)\b|-\d{5}-of-\d{5}\b", re.IGNORECASE)
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF|II[*+]\0|MM\0[*+]|\0\0\0\x0cjP  |\xff\x4f\xff\x51|"
    rb"....ftyp(avi[fs]|hei[cx]|hevc|m[is]f1)",
    re.DOTALL,
)


@dataclass
class Look:
    """What one folder holds.

    Attributes:
        path: The folder.
        pictures: Pictures that lie in it directly, of those that were looked at.
        shards, arrays, archived, tables, others: Names of such files; tables have path and label.
        parquet, tars: Names of files that hold many pictures; archives that hold samples.
        prepared: Whether `tl prepare` made it.
        saved: Whether Hugging Face's `datasets` made it.
        built: Whether TensorFlow Datasets made it.
        run: Whether it is the folder of a run.
        folders: Those below that hold data, by name.
        bare: Names of those below that hold none.
    """

    path: str
    pictures: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    parquet: list[str] = field(default_factory=list)
    tars: list[str] = field(default_factory=list)
    prepared: bool = False
    saved: bool = False
    built: bool = False
    run: bool = False
    folders: "dict[str, Look]" = field(default_factory=dict)
    bare: list[str] = field(default_factory=list)

    @property
    def own(self) -> bool:
        """Whether it holds data that is no loose picture: shards, arrays, an .npz, a table."""
        made = self.prepared or self.saved or self.built
        return bool(made or self.shards or self.arrays or self.tables or self.packed)

    @property
    def packed(self) -> list[str]:
        """Names of files that hold many pictures."""
        return [*self.parquet, *self.tars]

    @property
    def holds(self) -> bool:
        """Whether it, or anything below it, holds data."""
        return bool(self.own or self.pictures or self.folders)

    @property
    def pictured(self) -> "dict[str, Look]":
        """Folders below that hold pictures, at whatever depth."""
        return {name: look for name, look in self.folders.items() if look.shows_pictures}

    @property
    def shows_pictures(self) -> bool:
        """Whether it, or anything below it, holds pictures."""
        return bool(self.pictures) or any(one.shows_pictures for one in self.folders.values())


def look(path: str) -> Look:
    """Look at a folder and below.

    Raises:
        OSError: It cannot be read.
    """
    left = itertools.count(MOST_FOLDERS, -1)
    return _look(path, left, set(), 0)


def _look(path: str, left: Iterator[int], seen: set[tuple[int, int]], level: int) -> Look:
    """Look at one folder; folders below that cannot be read are bare."""
    status = os.stat(path)
    seen.add((status.st_dev, status.st_ino))
    found, folders = _listed(path, MOST_BELOW if level else MOST_NAMES)
    if found.run or found.prepared or found.saved or found.built:
        return found
    for name in folders:
        below = _below(os.path.join(path, name), left, seen, level + 1)
        if below is not None and below.holds:
            found.folders[name] = below
        else:
            found.bare.append(name)
    return found


def _listed(path: str, most: int) -> tuple[Look, list[str]]:
    """What lies in a folder directly, and names of the folders below it."""
    found, folders, unknown = Look(path), [], []
    with os.scandir(path) as entries:
        for entry in itertools.islice(entries, most):
            if hidden(entry.name):
                continue
            if _is(entry.is_dir):
                folders.append(entry.name)
            elif _is(entry.is_file) and not _file(found, entry.name):
                unknown.append(entry.name)
    for name in sorted(unknown):
        known = len(found.pictures) < ASKED and "." not in name and _starts(path, name)
        (found.pictures if known else found.others).append(name)
    found.run = {"config.json", "metadata.json"} <= {*found.others}
    found.prepared = "prepared.json" in found.others
    found.saved = "dataset_dict.json" in found.others or _SAVED.issubset(found.others)
    found.built = _BUILT.issubset(found.others)
    tars = sorted(name for name in found.archived if name.lower().endswith(".tar"))
    if tars and is_samples(os.path.join(path, tars[0])):
        found.tars, found.archived = tars, [one for one in found.archived if one not in tars]
    tables = sorted(found.tables)[:MOST_TABLES]
    found.tables = [name for name in tables if is_table(os.path.join(path, name))]
    found.others += [name for name in tables if name not in found.tables]
    return found, sorted(folders)


def _below(path: str, left: Iterator[int], seen: set[tuple[int, int]], level: int) -> Look | None:
    """What a folder below holds; None of one that is not looked into."""
    try:
        status = os.stat(path)
        if level > MOST_LEVELS or (status.st_dev, status.st_ino) in seen or next(left) <= 0:
            return None
        return _look(path, left, seen, level)
    except OSError:
        return None


def _is(asked: Callable[[], bool]) -> bool:
    """An answer of a directory entry; False for a link to itself."""
    try:
        return asked()
    except OSError:
        return False


def _file(found: Look, name: str) -> bool:
    """Enter a file by its name; False where the name tells nothing."""
    lower = name.lower()
    kind = os.path.splitext(lower)[1]
    if kind in PICTURES:
        found.pictures.append(name)
    elif kind in (".npy", ".npz"):
        found.arrays.append(name)
    elif kind in TABLES:
        found.tables.append(name)
    elif kind in PARQUET:
        found.parquet.append(name)
    elif is_archive(lower):
        found.archived.append(name)
    elif is_shard(lower):
        found.shards.append(name)
    else:
        return False
    return True


def hidden(name: str) -> bool:
    """Whether the system or a program put a file or folder there, not a person."""
    return name.startswith(".") or name == "__MACOSX"


def is_shard(name: str) -> bool:
    """Whether a file is called as shards of TFRecords are."""
    return bool(_SHARD.search(name)) and not name.endswith((".json", ".txt", ".npz"))


def is_archive(name: str) -> bool:
    """Whether a file is called as one that holds others."""
    return name.lower().endswith(ARCHIVES)


def is_samples(path: str) -> bool:
    """Whether the first members of a tar archive are pictures with labels beside them."""
    names: list[str] = []
    # A border: what damaged bytes raise; whoever reads all of it says what is wrong.
    with (
        contextlib.suppress(Exception), open_regular(path, "shard") as file,
        tarfile.open(fileobj=file, mode="r:") as archive,
    ):  # fmt: skip
        names += (one.name.lower() for one in itertools.islice(archive, MOST_MEMBERS))
    pictured = {_stem(name) for name in names if name.endswith(PICTURES)}
    return any(_stem(name) in pictured for name in names if name.endswith(LABELS))


def _stem(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def header(path: str) -> bytes:
    """The first bytes of a regular file; none of what cannot be read."""
    try:
        with open_regular(path, "shard") as file:
            return file.read(HEADER)
    except (TlError, OSError, ValueError):
        return b""


def is_table(path: str) -> bool:
    """Whether the first line of a file names the columns path and label."""
    line = header(path).removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace")
    if line.lstrip().startswith("{"):
        return '"path"' in line and '"label"' in line
    try:
        rows = [next(csv.reader([line], delimiter=one), []) for one in ",;\t"]
    except csv.Error:
        return False
    return any({"path", "label"} <= {cell.strip().lower() for cell in row} for row in rows)


def _starts(folder: str, name: str) -> bool:
    return is_picture(header(os.path.join(folder, name)))


def is_picture(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a picture."""
    return bool(_PICTURE.match(start))


def neighbours(path: Path) -> list[str]:
    """Names beside a path that is not there; none where the folder is not there either."""
    try:
        with os.scandir(path.parent) as entries:
            names = [one.name for one in itertools.islice(entries, MOST_NAMES)]
    except (OSError, ValueError):
        return []
    return sorted(name for name in names if not hidden(name))
