"""Pictures of a Hugging Face data set: a folder of save_to_disk, or a name of the hub."""

import importlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.data import arrow_file
from tlcli.data.arrow import columns_of
from tlcli.data.gathered import Gathering
from tlcli.data.split_files import SplitFiles, chosen
from tlcli.errors import ConfigError, DataError
from tlcli.options.data._columns import InColumns
from tlcli.system import download
from tlcli.system.files import expanded
from tlcli.system.opened import reason
from tlcli.system.shown import shown

_SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Data(InColumns):
    """Its Arrow files, read where they lie in the folder or in the cache of `datasets`.

    Attributes:
        subset: Which of several configurations of a name; null for the only one.
        split: The one split to take, validation and test being carved from it; null for all that
            are called train, validation or test.
    """

    subset: str | None
    split: str | None

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Open the data set, index its files and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the index is kept.

        Raises:
            ConfigError: There is no such data set, split or column.
            DataError: A file or label that cannot be used, or what holds for folders as well.
        """
        parts = _loaded(self.path, self.subset)
        used, notes = chosen(self.path, list(parts), self.split)
        first = next(iter(used))
        columns = columns_of(
            self.path, parts[first].features.arrow_schema, self.image_column, self.label_column
        )
        form = arrow_file.form(columns.image, columns.label)
        files = _files(self.path, parts, used, notes)
        return Gathering(files, form, self.naming(columns), self.how()).manifest(seed, cache_dir)


def _loaded(path: str, subset: str | None) -> dict[str, Any]:
    """The data set's splits by name.

    Raises:
        ConfigError: There is none, or `datasets` is not installed.
        DataError: It cannot be read.
    """
    datasets = _datasets()
    folder = expanded(path, "data.path")
    try:
        if any((folder / name).is_file() for name in _SAVED):
            found = datasets.load_from_disk(str(folder))
        else:
            found = datasets.load_dataset(str(folder) if folder.exists() else path, subset)
    # A border: what the library raises, and what it reads, cannot be listed.
    except (FileNotFoundError, ConnectionError) as error:
        problem = f"there is no folder {shown(path)}, and as a name of the hub: {reason(error)}"
        remedy = "Give a folder of save_to_disk, or a name that is in the cache or can be fetched."
        raise ConfigError("data.path", problem, remedy) from None
    except ValueError as error:
        remedy = "Give a folder of save_to_disk, and for a name data.subset where it has several."
        raise ConfigError("data.path", f"{shown(path)}: {reason(error)}", remedy) from None
    except Exception as error:
        problem = f"cannot be read ({reason(error)})"
        raise DataError(shown(path), problem, "Save it again.") from None
    return dict(found) if isinstance(found, dict) else {"train": found}


def _datasets() -> Any:
    if download.is_offline():
        # Read once, when the library is imported: it would try to reach the hub for half a minute.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for name in ("datasets", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        module: Any = importlib.import_module("datasets")
    except ImportError:
        problem = "datasets, which reads it, is not installed"
        raise ConfigError("data", problem, "Install it with: pip install 'tlcli[hf]'.") from None
    module.disable_progress_bars()
    return module


def _files(
    where: str, parts: Mapping[str, Any], used: Mapping[str, int], notes: list[str]
) -> SplitFiles:
    """Files of the splits that are used, in their order.

    Raises:
        DataError: A split is not simply the rows of its files.
    """
    paths, splits = list[str](), list[int]()
    for name, split in used.items():
        files = [os.path.abspath(one["filename"]) for one in parts[name].cache_files]
        if not files:
            problem = f"has no files for the split {shown(name)}"
            raise DataError(shown(where), problem, "Save it with save_to_disk.")
        paths += files
        splits += [split] * len(files)
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = [os.path.relpath(path, root) for path in paths]
    return SplitFiles(Path(root), names, splits, notes)
