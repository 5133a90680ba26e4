"""What is said of a path that is no data: what it is, what was meant, what to type instead."""

import difflib
from collections.abc import Iterable, Sized
from pathlib import Path

from tlcli.config import looking
from tlcli.config.looking import Look
from tlcli.errors import DataError
from tlcli.system.shown import shown, typed

GIVE = (
    "Give a folder of class folders, a .csv or .jsonl with path and label, an .npz or a folder of "
    "arrays, or shards: TFRecord, Parquet, or tar with labels."
)


def near(path: Path, options: Iterable[str]) -> str:
    """What may have been meant by a path that is not there."""
    above = path.parent
    while not above.is_dir() and above != above.parent:
        path, above = above, above.parent
    names = looking.neighbours(path)
    by_name = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(path.name.casefold(), by_name, n=3, cutoff=0.6)
    if close:
        meant = " or ".join(typed(above / by_name[name]) for name in close)
        return f"Did you mean {meant}?"
    if (option := difflib.get_close_matches(str(path), list(options), n=1)) and above == Path():
        return f"Did you mean {option[0]}?"
    where = "Here" if above == Path() else f"In {typed(above)}"
    return f"{where} {_are(len(names))} {some(names) or 'nothing'}. {GIVE}"


def no_data(path: Path, start: bytes) -> str:
    """What a file is that holds no data set."""
    kind = path.suffix.lower()
    if kind in looking.PICTURES or looking.is_picture(start):
        return "one picture"
    if kind in (".yaml", ".yml"):
        return "a recipe"
    if kind == ".npy":
        return "a single array"
    return "nothing that tl reads as data" if start else "empty, or cannot be read"


def instead(path: Path) -> str:
    """What to type for a file that holds no data set."""
    kind, above = path.suffix.lower(), path.parent
    if kind in (".yaml", ".yml"):
        return f"Type config={typed(path)}."
    if kind in looking.PICTURES:
        return f"tl predict {typed(path)} names it by a run. {GIVE}"
    if kind == ".npy":
        return f"Give the folder, with train_data.npy and train_labels.npy in it: {typed(above)}."
    return GIVE


def unpack(path: Path) -> str:
    """How to come by the folder of an archive; it may be there."""
    stem = path.name
    while looking.is_archive(stem):
        stem = stem[: stem.rfind(".")]
        stem = stem.removesuffix(".tar")
    folder = path.with_name(stem)
    if stem and folder.is_dir():
        return f"The folder {typed(folder)} is beside it: give that."
    zipped = path.name.lower().endswith(".zip")
    command = f"unzip {typed(path)} -d" if zipped else f"tar -xf {typed(path)} -C"
    made = "" if zipped else f"mkdir {typed(folder)}; "
    return f"Unpack it ({made}{command} {typed(folder)}) and give the folder."


def nothing(root: str, seen: Look) -> DataError:
    """The refusal of a folder without data."""
    if seen.archived:
        place = Path(seen.path, seen.archived[0])
        return DataError(root, f"holds {some(seen.archived)}, packed", unpack(place))
    files = f"{counted(seen.others, 'other file')} ({some(seen.others)})" if seen.others else ""
    bare = f"{counted(seen.bare, 'folder')} without any ({some(seen.bare)})" if seen.bare else ""
    what = " and ".join(filter(None, (files, bare)))
    return DataError(root, f"holds no data: {what}" if what else "is empty", GIVE)


def some(names: Iterable[str], most: int = 6) -> str:
    """Names for a message: the first few."""
    names = list(names)
    return ", ".join(shown(name, 60) for name in names[:most]) + ", …" * (len(names) > most)


def counted(names: Sized, word: str) -> str:
    """How many there are, in words."""
    return f"{len(names)} {word}{'s' * (len(names) != 1)}"


def _are(count: int) -> str:
    return "is" if count < 2 else "are"
