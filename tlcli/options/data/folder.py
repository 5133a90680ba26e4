"""Pictures in one folder a class, with or without folders for the splits above them."""

import os
from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts.data import Manifest
from tlcli.data.index import Index
from tlcli.data.layout import LAYOUT, resolve, sorted_out
from tlcli.data.manifest import Listed, indexed_manifest
from tlcli.data.samples import Samples
from tlcli.data.scan import Listing
from tlcli.data.walk import LeftOut, walk, writable
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np
from tlcli.options.data._read import ReadTested
from tlcli.system import console
from tlcli.system.located import located


@dataclass(frozen=True)
class Data(ReadTested):
    """A folder of class folders; it is only read."""

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
        index = Index(str(root), ["folder"], self.max_pixels, cache_dir)
        return indexed_manifest(
            index, str(root), lambda: _list_folder(root), self.how(), seed, cache_dir
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
