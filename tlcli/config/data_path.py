"""`data=PATH`: which option of the group data reads what is there, or what to type instead.

A folder is told by what it holds, a file by its name and first bytes. Where there are two ways to
read it nothing is guessed: the message says what was found and the words for each.
"""

import glob
import itertools
import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tlcli.config import looking
from tlcli.config.data_help import GIVE, counted, instead, near, no_data, nothing, some, unpack
from tlcli.config.looking import Look
from tlcli.config.patterns import is_pattern, meant
from tlcli.config.split_names import split_of
from tlcli.contracts.data import TRAIN
from tlcli.errors import ConfigError, DataError
from tlcli.system.files import expanded
from tlcli.system.located import located
from tlcli.system.opened import named, reason
from tlcli.system.remote import is_address
from tlcli.system.shown import shown, typed
from tlcli.system.standing import addressed

KINDS = {
    "folder": "class folders", "csv": "a table of pictures", "npy": "arrays",
    "tfrecord": "TFRecord shards", "photos": "photos without labels",
    "parquet": "Parquet files", "webdataset": "tar shards", "hf": "a data set of Hugging Face",
    "tfds": "a data set of TensorFlow Datasets",
}  # fmt: skip
# Ways to read a folder that a message names.
MOST_WAYS = 5
_SPLIT_WORDS = ("train", "validation", "valid", "val", "test")


@dataclass(frozen=True)
class Found:
    """What a path stands for.

    Attributes:
        option: Of the group data.
        path: What `data.path` becomes.
        what: The kind in words, with a few names.
    """

    option: str
    path: str
    what: str

    @property
    def words(self) -> str:
        """What says the same, to type."""
        return f"data={self.option} data.path={typed(self.path)}"

    def line(self) -> str:
        """What a person is told."""
        return f"found      {shown(self.path)}: {self.what} ({self.words})"


def found(given: str, options: Iterable[str] = ()) -> Found:
    """What lies at a path.

    Args:
        given: As typed; `~` is the home folder, a pattern stands for shards.
        options: Names of the group's options, to guess what was meant.

    Raises:
        ConfigError: There is nothing, or nothing of use, or more than one way to read it.
        DataError: It cannot be read.
    """
    if not given:
        raise ConfigError("data", "no value", GIVE)
    if is_address(given):
        one = found(str(located(given, "data")), options)
        return replace(one, path=addressed(one.path), what=addressed(one.what))
    path = expanded(given, "data")
    # A slash at the end, or ./ before it, says nothing; .. may lead through a link.
    path = path if ".." in path.parts else Path(os.path.normpath(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _pattern(given, path, options)
    except OSError as error:
        raise DataError(str(path), f"cannot be read ({reason(error)})", "Give another.") from None
    if stat.S_ISDIR(mode):
        return _folder(str(path))
    if stat.S_ISREG(mode):
        one = _file(path)
        return replace(one, path=_plain(one.path))
    raise ConfigError("data", f"{shown(path)} is {named(mode)}, no data", GIVE)


def _pattern(given: str, path: Path, options: Iterable[str]) -> Found:
    """Shards that a pattern stands for."""
    if is_pattern(given):
        first = next(meant(str(path), "data"), "").lower()
        kinds = {"parquet": looking.PARQUET, "webdataset": (".tar",)}
        option = next((one for one, ends in kinds.items() if first.endswith(ends)), None)
        if option is None and looking.is_shard(os.path.basename(first)):
            option = "tfrecord"
        if option is not None:
            return Found(option, str(path), KINDS[option])
    raise ConfigError("data", f"there is no file or folder {shown(given)!r}", near(path, options))


def _file(path: Path) -> Found:
    """What a file is."""
    name, place = path.name.lower(), str(path)
    kind = os.path.splitext(name)[1]
    start = looking.header(place)
    if kind == ".tar" and looking.is_samples(place):
        return Found("webdataset", place, "one tar shard")
    if kind in looking.PARQUET:
        return Found("parquet", place, "one Parquet file")
    if looking.is_archive(name) or (start[:4] == b"PK\x03\x04" and kind != ".npz"):
        raise ConfigError("data", f"{shown(place)} is an archive", unpack(path))
    if kind == ".npz":
        return Found("npy", place, "arrays in one .npz")
    if kind in looking.TABLES or looking.is_table(place):
        return Found("csv", place, KINDS["csv"])
    if looking.is_shard(name):
        return Found("tfrecord", glob.escape(place), "one TFRecord shard")
    raise ConfigError("data", f"{shown(place)} is {no_data(path, start)}", instead(path))


def _folder(root: str) -> Found:
    """What a folder is."""
    try:
        seen = looking.look(root)
    except OSError as error:
        problem = f"cannot be read ({reason(error)})"
        raise DataError(root, problem, "Make it readable, or give another folder.") from None
    while (inner := _only(seen)) is not None:
        seen = inner
    if seen.run:
        words = f"tl train extend={typed(seen.path)} DATA, or tl train resume={typed(seen.path)}"
        raise ConfigError("data", f"{shown(seen.path)} is a run, no data", f"Type {words}.")
    ways = _ways(seen)
    ways = [replace(way, path=_plain(way.path)) for way in ways]
    if len(ways) == 1:
        return ways[0]
    if ways:
        told = [f"{way.what} ({way.words})" for way in ways[:MOST_WAYS]]
        problem = f"{shown(root)} can be read in {len(ways)} ways: {'; '.join(told)}"
        raise ConfigError("data", problem, "Type one of them.")
    raise nothing(root, seen)


def _only(seen: Look) -> Look | None:
    """The one folder below in which everything lies that is data, and which is no class."""
    if seen.own or seen.run or seen.pictures or len(seen.folders) != 1:
        return None
    ((name, inner),) = seen.folders.items()
    # Pictures directly in it make it a class.
    loose = inner.pictures and not inner.own
    return None if loose or split_of(name) is not None else inner


def _ways(seen: Look) -> list[Found]:
    """All ways to read a folder."""
    path, below = seen.path, seen.pictured
    if (made := _made(seen)) is not None:
        return [made]
    inner = seen.folders
    if inner and all(split_of(name) is not None and one.packed for name, one in inner.items()):
        return _packed(path, [seen, *inner.values()])
    ways = [*_packed(path, [seen]), *_shards(seen), *_arrays(seen)]
    ways += [Found("csv", os.path.join(path, n), f"the table {shown(n)}") for n in seen.tables]
    if _are_data_sets(below):
        ways += [way for one in below.values() for way in _ways(one)]
    if _are_classes(below):
        loose = f"; {counted(seen.pictures, 'picture')} beside them left out" * bool(seen.pictures)
        ways.append(Found("folder", path, _described(below) + loose))
    elif not seen.own:
        ways += _unlabelled(seen)
    if not seen.own:
        ways += [way for one in seen.folders.values() if not one.shows_pictures
                 for way in _ways(one)]  # fmt: skip
    return ways


def _made(seen: Look) -> Found | None:
    """What a program made of a folder, which tells so itself."""
    made = {
        "tfrecord": (seen.prepared, "shards of tl prepare"), "hf": (seen.saved, KINDS["hf"]),
        "tfds": (seen.built, KINDS["tfds"]),
    }  # fmt: skip
    return next((Found(one, seen.path, what) for one, (is_so, what) in made.items() if is_so), None)


def _plain(path: str) -> str:
    """A path in its shortest form; what begins with ~ is no home folder here."""
    short = os.path.normpath(path)
    return f"./{short}" if short.startswith("~") else short


def _shards(seen: Look) -> list[Found]:
    """TFRecords; those whose names tell no split by a pattern, which takes all of them."""
    if not seen.shards:
        return []
    what = counted(seen.shards, "TFRecord shard")
    if any(word in name.lower() for name in seen.shards for word in _SPLIT_WORDS):
        return [Found("tfrecord", seen.path, what)]
    columns = itertools.takewhile(
        lambda column: len({*column}) == 1, zip(*seen.shards, strict=False)
    )
    start = "".join(column[0] for column in columns)
    return [Found("tfrecord", os.path.join(*map(glob.escape, (seen.path, start))) + "*", what)]


def _packed(path: str, folders: Sequence[Look]) -> list[Found]:
    """Parquet files and tar shards of some folders."""
    parquet = [name for one in folders for name in one.parquet]
    tars = [name for one in folders for name in one.tars]
    ways = [Found("parquet", path, counted(parquet, "Parquet file"))] if parquet else []
    return [*ways, Found("webdataset", path, counted(tars, "tar shard"))] if tars else ways


def _arrays(seen: Look) -> list[Found]:
    """A folder of .npy files, and each .npz."""
    packed = [name for name in seen.arrays if name.lower().endswith(".npz")]
    ways = [Found("npy", os.path.join(seen.path, name), f"arrays in {shown(name)}")
            for name in sorted(packed)]  # fmt: skip
    if len(packed) < len(seen.arrays) and not seen.shards:
        ways.append(Found("npy", seen.path, KINDS["npy"]))
    return ways


def _are_classes(below: Mapping[str, Look]) -> bool:
    """Whether folders with pictures are classes, or splits of them."""
    if all(split_of(name) is not None for name in below):
        return any(one.pictured for one in below.values())
    return len(below) > 1


def _are_data_sets(below: Mapping[str, Look]) -> bool:
    """Whether folders that are no splits may each be a whole: the same names are in several."""
    if any(one.pictures for one in below.values()) or any(
        split_of(name) == TRAIN for name in below
    ):
        return False
    counts = Counter(name for one in below.values() for name in one.pictured)
    return len(below) > 1 and max(counts.values()) > 1


def _described(below: Mapping[str, Look]) -> str:
    """Class folders in words."""
    splits = [name for name in below if split_of(name) is not None]
    names = sorted({inner for name in splits for inner in _inside(below[name])}) or list(below)
    above = f" in {some(splits)}" if splits else ""
    return f"{counted(names, 'class folder')}, {some(names, 4)}{above}"


def _inside(split: Look) -> Mapping[str, Look]:
    """Folders with pictures in a split, or in the one folder that all of it lies in."""
    below = split.pictured
    while len(below) == 1 and not (one := next(iter(below.values()))).pictures:
        below = one.pictured
    return below


def _unlabelled(seen: Look) -> list[Found]:
    """Pictures that no folder tells apart; and what lies in a folder beside them."""
    path, below = seen.path, seen.pictured
    if not seen.pictures and not below:
        return []
    inner = [way for one in below.values() if not one.pictures for way in _ways(one)]
    where = f", all in {some(below)}" if below and not seen.pictures else ""
    return [*inner, Found("photos", path, KINDS["photos"] + where)]
