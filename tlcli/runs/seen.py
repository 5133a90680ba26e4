"""Which of some pictures a run has seen: its split.csv decides, by content."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.contracts.data import SPLIT_NAMES, TRAIN, VALIDATION, Manifest
from tlcli.errors import DataError
from tlcli.system import opened

UNSEEN = -1


@dataclass(frozen=True)
class Seen:
    """What split.csv of a run says of pictures.

    Attributes:
        splits: Split of each picture, by its content or (of old runs) its id; of one that is there
            twice the first, for training comes before validation and test.
        column: "content" or "id".
    """

    splits: Mapping[str, int]
    column: str

    def of(self, manifest: Manifest) -> Any:
        """The run's split of each sample, int8 (samples,), UNSEEN where it knows none."""
        keys = list(map(str, manifest.ids))
        if self.column == "content":
            hashes = manifest.images.hashes(np.arange(len(keys)))
            keys = [bytes(row).hex() for row in hashes]
        return np.array([self.splits.get(key, UNSEEN) for key in keys], np.int8)


def seen_by(path: Path) -> Seen | None:
    """What a run has seen, or None where it does not say.

    Args:
        path: The run folder.

    Raises:
        DataError: Its split.csv is damaged.
    """
    file = path / "split.csv"
    if not file.exists():
        return None
    text = opened.read_text(file, "csv")
    numbers = {name: number for number, name in enumerate(SPLIT_NAMES)}
    splits: dict[str, int] = {}
    with opened.reading(file):
        rows = csv.DictReader(io.StringIO(text, newline=""))
        names = rows.fieldnames or ()
        if not {"id", "split"} <= set(names):
            raise DataError(str(file), "has no columns id and split", "Restore or train again.")
        column = "content" if "content" in names else "id"
        for row in rows:
            key, split = row[column], numbers[row["split"]]
            if key:
                splits[key] = min(split, splits.get(key, split))
    return Seen(splits, column)


def unseen(manifest: Manifest, known: Any) -> tuple[Manifest, int]:
    """The manifest with pictures in the splits that a run had them in.

    Args:
        manifest: Whose own splits stay for pictures that the run has not seen.
        known: What `Seen.of` gave.

    Returns:
        The manifest; and how many pictures are thereby no test images, for the run was trained on
        them or chosen by them.
    """
    splits = np.where(known == UNSEEN, manifest.splits, known).astype(np.int8)
    taken = (manifest.splits > splits) & np.isin(splits, (TRAIN, VALIDATION))
    return replace(manifest, splits=splits), int(taken.sum())
