"""Which of some pictures a run has seen: its split.csv decides, by content."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.config import bundled
from tlcli.contracts.data import SPLIT_NAMES, TRAIN, VALIDATION, Manifest
from tlcli.errors import DataError
from tlcli.system import opened
from tlcli.system.shown import fused, shown

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

    def of(self, manifest: Manifest, rows: Any = None) -> Any:
        """The run's split of each sample, or of some, int8 (rows,), UNSEEN where it knows none."""
        rows = np.arange(len(manifest.ids)) if rows is None else np.asarray(rows, np.int64)
        keys = list(map(str, manifest.ids[rows]))
        if self.column == "content":
            keys = [bytes(row).hex() for row in manifest.images.hashes(rows)]
        return np.array([self.splits.get(key, UNSEEN) for key in keys], np.int8)

    def joined(self, other: "Seen | None") -> "Seen":
        """What either has seen, in the earlier split; of runs that tell in the same way."""
        if other is None or other.column != self.column:
            return self
        both = {k: min(v, self.splits.get(k, v)) for k, v in other.splits.items()}
        return Seen({**self.splits, **both}, self.column)


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
            key, split = fused(row[column]), numbers[row["split"]]
            if key:
                splits[key] = min(split, splits.get(key, split))
    return Seen(splits, column)


def earlier_run(config: Mapping[str, Any]) -> Path | None:
    """The run whose weights a training goes on from, by its configuration; None without one."""
    backbone = config.get("backbone")
    if not isinstance(backbone, Mapping) or backbone.get("name") != "run":
        return None
    if backbone["weights"] != "run":
        return None
    return bundled.located(str(backbone["run"]), "backbone.run")


def seen_in_all(path: Path) -> Seen | None:
    """What a run and those that it went on from have seen, as far as they are there and say.

    Raises:
        DataError: A split.csv or config.json is damaged.
    """
    found, known = seen_by(path), {path.resolve()}
    while (path / "config.json").is_file():
        text = opened.read_text(path / "config.json", "json")
        with opened.reading(path / "config.json"):
            earlier = earlier_run(json.loads(text))
        if earlier is None or earlier.resolve() in known or found is None:
            break
        path = earlier
        known.add(path.resolve())
        found = found.joined(seen_by(path))
    return found


def kept_out(manifest: Manifest, run: Path) -> Manifest:
    """Data for a training that goes on from a run, so that its figures are honest.

    Validation and test images that the run was trained on become training images, test images that
    it was chosen by validation images; the report says how many.

    Args:
        manifest: The data; its validation and test images are read to be told apart.
        run: The earlier run.

    Raises:
        DataError: What it has seen cannot be read.
    """
    notes, seen = list(manifest.report.get("notes") or ()), seen_in_all(run)
    later = np.flatnonzero(manifest.splits > TRAIN)
    if seen is None:
        notes.append(f"nobody can tell what {shown(run)} has seen, for it has no split.csv")
        return replace(manifest, report={**manifest.report, "notes": notes})
    known = seen.of(manifest, later)
    splits = manifest.splits.copy()
    splits[later] = np.where(known == UNSEEN, splits[later], np.minimum(splits[later], known))
    trained, chosen = (
        int(((splits == to) & (manifest.splits > to)).sum()) for to in (TRAIN, VALIDATION)
    )
    notes.append(
        f"{shown(run)} has seen {(known != UNSEEN).sum()} of the {len(later)} validation and test "
        f"images; {trained} that it was trained on are training images here, {chosen} test images "
        "that it was chosen by are validation images"
    )
    report = {**manifest.report, "notes": notes}
    if not trained + chosen:
        return replace(manifest, report=report)
    return replace(
        manifest, splits=splits, report=report, own=manifest.own or manifest.fingerprint,
        fingerprint=_moved(manifest.fingerprint, splits, seen),
        listed=_moved(manifest.listed or manifest.fingerprint, b"", seen),
    )  # fmt: skip


def _moved(fingerprint: str, splits: Any, seen: Seen) -> str:
    digest = hashlib.sha256(f"{fingerprint}{sorted(seen.splits.items())}".encode())
    digest.update(bytes(splits))
    return digest.hexdigest()


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
