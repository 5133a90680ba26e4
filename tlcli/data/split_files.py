"""Files that hold many pictures, found in folders and by patterns, and the split that each is for.

A split is told by the last such word in a file's path: `train-00000-of-00004.parquet`,
`test/0.tar`, `data/validation.parquet`.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcli.config.patterns import meant
from tlcli.config.split_names import split_of
from tlcli.contracts.data import SPLIT_NAMES, TRAIN
from tlcli.data.samples import SPLIT_WORDS, some_names
from tlcli.data.walk import hidden
from tlcli.errors import ConfigError, DataError
from tlcli.system.located import located
from tlcli.system.shown import shown

_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_WORDS)})(?![a-z])")


@dataclass(frozen=True)
class SplitFiles:
    """Files and their splits.

    Attributes:
        root: Folder that all lie in.
        names: Of each below it, sorted.
        splits: Split of each.
        notes: Facts for the report.
    """

    root: Path
    names: Sequence[str]
    splits: Sequence[int]
    notes: Sequence[str]

    @property
    def paths(self) -> list[Path]:
        """Path of each."""
        return [self.root / name for name in self.names]


def names_split(name: str) -> bool:
    """Whether a name tells a split."""
    return bool(_SPLIT.search(name.lower()))


def splits_of(names: Sequence[str], root: Path) -> tuple[list[int], tuple[str, ...]]:
    """Split of each file by the last such word in its name; and notes.

    Raises:
        DataError: Some names tell a split and some do not.
    """
    words = [_SPLIT.findall(name.lower()) for name in names]
    unnamed = [name for name, found in zip(names, words, strict=True) if not found]
    if unnamed and len(unnamed) < len(names):
        raise DataError(
            str(root),
            f"the names of {some_names(unnamed)} do not tell their split",
            f"Put {', '.join(SPLIT_NAMES)} into the name of every shard.",
        )
    if unnamed:
        return [TRAIN] * len(names), ("no shard's name tells its split: all taken as train",)
    return [SPLIT_WORDS[found[-1]] for found in words], ()


def chosen(place: str, held: Sequence[str], given: str | None) -> tuple[dict[str, int], list[str]]:
    """The splits of a data set that are used, each with what it is for; and notes on the others.

    Args:
        place: The data set, for messages.
        held: Names of its splits.
        given: What data.split says; the only one that is used then, and trained on.

    Raises:
        ConfigError: There is no such split, or none for training.
    """
    names = ", ".join(map(shown, held)) or "none"
    if given is not None and given not in held:
        problem = f"{shown(place)} has no split {shown(given)!r}"
        raise ConfigError("data.split", problem, f"Give one of {names}.")
    if given is not None or len(held) == 1:
        return {given or held[0]: TRAIN}, []
    used = {name: split for name in held if (split := split_of(name)) is not None}
    if TRAIN not in used.values():
        problem = f"{shown(place)} has the splits {names}, and none for training"
        raise ConfigError("data.split", problem, "Give the one to train on.")
    left = [name for name in held if name not in used]
    return used, [f"splits left out: {some_names(left)}"] if left else []


def split_files(given: str, suffixes: Sequence[str]) -> SplitFiles:
    """Files of a folder and all below it, of a pattern with `*` or `{000..010}`, or one file.

    Args:
        given: As typed.
        suffixes: Endings of the files that a folder is searched for, lower case.

    Raises:
        ConfigError: There are none.
        DataError: Some names tell a split and some do not.
    """
    path = located(given, "data.path")
    if path.is_dir():
        root, found = path, sorted(_below(path, tuple(suffixes)))
    else:
        matched = sorted({*meant(str(path), "data.path")})
        root = Path(os.path.commonpath([os.path.dirname(name) or "." for name in matched] or ["."]))
        found = [os.path.relpath(name, root) for name in matched]
    if not found:
        raise ConfigError(
            "data.path", f"{shown(given)}: there is no {' or '.join(suffixes)} file",
            "Give a folder of files with train, validation or test in their names, or a pattern.",
        )  # fmt: skip
    return SplitFiles(root, found, *splits_of(found, root))


def _below(root: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(one for one in folders if not hidden(one))
        for name in names:
            if name.lower().endswith(suffixes) and not hidden(name):
                yield os.path.relpath(os.path.join(folder, name), root)
