"""Pictures in one folder a class, with or without folders for the splits above them."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tlcli.contracts.data import SPLIT_NAMES, TRAIN, DataSource, Manifest
from tlcli.data.index import Index
from tlcli.data.manifest import Listed, Reading, indexed_manifest
from tlcli.data.samples import SPLIT_WORDS, Samples, some_names
from tlcli.data.scan import Listing
from tlcli.data.split import check_fractions
from tlcli.data.walk import Found, hidden, walk
from tlcli.errors import ConfigError, DataError, require
from tlcli.lazy import np

LAYOUT = "Expected PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with validation and test beside."


@dataclass(frozen=True)
class Data(DataSource):
    """A folder of class folders; it is only read.

    Attributes:
        path: The folder; `~` is the home folder.
        validation_fraction: Share of train for validation when no such folder is there.
        test_fraction: Share of train for test when neither validation nor test is there.
        on_error: What to do about files that are no readable image: leave out, or stop.
        max_pixels: Width times height above which a picture counts as unreadable.
    """

    path: str
    validation_fraction: float
    test_fraction: float
    on_error: Literal["skip", "fail"]
    max_pixels: int

    def __post_init__(self) -> None:
        check_fractions(self.validation_fraction, self.test_fraction)
        require(self.max_pixels > 0, "data.max_pixels", self.max_pixels, "Give a number above 0.")

    def manifest(self, seed: int, cache_dir: Path) -> Manifest:
        """List, scan and split the folder.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the scan is kept.

        Raises:
            ConfigError: There is no such folder.
            DataError: No classes, too few images, or unreadable files under "fail".
        """
        root = Path(self.path).expanduser()
        if not root.is_dir():
            problem = "is a file" if root.exists() else "there is no such folder"
            raise ConfigError("data.path", f"{root}: {problem}", "Give a folder of class folders.")
        fractions = (self.validation_fraction, self.test_fraction)
        reading = Reading(fractions, self.max_pixels, self.on_error)
        index = Index(str(root), ["folder"], self.max_pixels, cache_dir)
        return indexed_manifest(
            index, str(root), lambda: _list_folder(root), reading, seed, cache_dir
        )


def _list_folder(root: Path) -> Listed:
    """All candidates below the root with their class and split, sorted by name; and all folders."""
    top = _folders(root)
    split_of = {name: SPLIT_WORDS[name.lower()] for name in top if name.lower() in SPLIT_WORDS}
    if TRAIN not in split_of.values():
        if top and len(split_of) == len(top):
            raise DataError(str(root), f"has {some_names(top)} but no 'train'", LAYOUT)
        split_of = {}
    _check_twice(root, split_of)
    ignored: Counter[str] = Counter()
    depth = 1 if split_of else 0
    found: list[Found] = []
    folders: list[str] = []
    for entry in walk(str(root), ignored, folders):
        name = entry[0]
        parts = name.split("/")
        if split_of and parts[0] not in split_of:
            ignored[f"in {parts[0]}, which is no split" if len(parts) > 1 else "outside"] += 1
        elif len(parts) < depth + 2:
            ignored["outside class folders"] += 1
        else:
            found.append(entry)
    if not found:
        raise DataError(str(root), _nothing(ignored), LAYOUT)
    notes = tuple(f"{count} files left out: {why}" for why, count in sorted(ignored.items()))
    return *_samples(root, sorted(found), split_of, notes), folders


def _nothing(ignored: Counter[str]) -> str:
    loose = ignored["outside class folders"] + ignored["outside"]
    return f"has {loose} images but no class folders" if loose else "has no classes with images"


def _check_twice(root: Path, split_of: dict[str, int]) -> None:
    for split in range(3):
        names = [name for name, number in split_of.items() if number == split]
        if len(names) > 1:
            raise DataError(
                str(root),
                f"has {some_names(names)}, all for {SPLIT_NAMES[split]}",
                "Keep one of them.",
            )


def _samples(
    root: Path, found: list[Found], split_of: dict[str, int], notes: tuple[str, ...]
) -> tuple[Samples, Listing]:
    """Classes and splits of the files found, from their paths."""
    depth = 1 if split_of else 0
    names = [name for name, *_ in found]
    of_file = [name.split("/", depth + 1)[depth] for name in names]
    class_names = tuple(sorted(set(of_file)))
    index = {name: row for row, name in enumerate(class_names)}
    splits = [split_of[name.split("/", 1)[0]] if depth else TRAIN for name in names]
    samples = Samples(
        where=str(root),
        ids=np.array(names, object),
        labels=np.array([index[name] for name in of_file], np.int32),
        splits=np.array(splits, np.int8),
        class_names=class_names,
        notes=notes,
    )
    return samples, Listing.of(str(root), names, np.array([f[1:] for f in found], np.int64))


def _folders(root: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones aside, sorted."""
    with os.scandir(root) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not hidden(e.name))
