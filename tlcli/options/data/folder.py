"""Pictures in one folder a class, with or without folders for the splits above them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tlcli.contracts.data import Manifest
from tlcli.data.choosing import Choosing
from tlcli.data.grouping import by_expression
from tlcli.data.index import Index
from tlcli.data.layout import LAYOUT, resolve, sorted_out
from tlcli.data.manifest import Listed, indexed_manifest
from tlcli.data.readable import Reading
from tlcli.data.samples import Samples
from tlcli.data.scan import Listing
from tlcli.data.split import check_fractions
from tlcli.data.walk import LeftOut, walk, writable
from tlcli.errors import ConfigError, DataError, require
from tlcli.lazy import np
from tlcli.system import console
from tlcli.system.located import located


@dataclass(frozen=True)
class Data(Choosing):
    """A folder of class folders; it is only read.

    Attributes:
        path: The folder; `~` is the home folder.
        validation_fraction: Share of train for validation when no such folder is there.
        test_fraction: Share of train for test when neither validation nor test is there.
        on_error: What to do about files that are no readable image: leave out, or stop.
        damaged: What to do about pictures that libjpeg warns of, parts of which are made up.
        max_pixels: Width times height above which a picture counts as unreadable.
    """

    path: str
    validation_fraction: float
    test_fraction: float
    on_error: Literal["skip", "fail"]
    damaged: Literal["skip", "use", "fail"]
    max_pixels: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.validation_fraction, self.test_fraction)
        require(self.max_pixels > 0, "data.max_pixels", self.max_pixels, "Give a number above 0.")

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """List, scan and split the folder.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the scan is kept.

        Raises:
            ConfigError: There is no such folder.
            DataError: No classes, too few images, or unreadable files under "fail".
        """
        root = located(self.path, "data.path")
        if not root.is_dir():
            problem = "is a file" if root.exists() else "there is no such folder"
            raise ConfigError("data.path", f"{root}: {problem}", "Give a folder of class folders.")
        fractions = (self.validation_fraction, self.test_fraction)
        groups = by_expression(self.groups)
        reading = Reading(fractions, self.max_pixels, self.on_error, self.damaged, groups)
        index = Index(str(root), ["folder"], self.max_pixels, cache_dir)
        return indexed_manifest(
            index, str(root), lambda: _list_folder(root), reading, seed, cache_dir
        )


def _list_folder(root: Path) -> Listed:
    """All candidates below the root with their class and split, sorted by name; and all folders."""
    left_out = LeftOut()
    folders: list[str] = []
    listed = console.staged(walk(str(root), left_out, folders.append), "listing", None, "files")
    every = list(writable(listed, left_out))
    start = len(os.path.join(str(root), ""))
    below = [folder[start:].rstrip("/") for folder in folders[1:]]
    layout = resolve(str(root), sorted({name[: name.rfind("/") + 1] for name, *_ in every}), below)
    found, classes, splits = sorted_out(layout, every, left_out)
    if not found:
        raise DataError(str(root), _nothing(left_out), LAYOUT)
    listing = Listing.of(str(root), found)
    class_names = tuple(sorted(set(classes)))
    index = {name: row for row, name in enumerate(class_names)}
    samples = Samples(
        where=str(root),
        ids=listing.names,
        labels=np.array([index[name] for name in classes], np.int32),
        splits=np.array(splits, np.int8),
        class_names=class_names,
        notes=(*layout.notes, *left_out.notes()),
    )
    return samples, listing, folders


def _nothing(left_out: LeftOut) -> str:
    loose = left_out.count("outside class folders") + left_out.count("outside")
    if loose:
        return f"has {loose} images but no class folders"
    passed = f" ({'; '.join(left_out.notes())})" if left_out else ""
    return f"has no classes with images{passed}"
