"""What every data option of ours can be told: pictures to leave out, labels to correct, groups.

Splits are carved before pictures are left out, so that a training with and one without them are
measured on the same test images. What a table says is part of the fingerprint of the data.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import SPLIT_NAMES, DataSource, ImageSource, Manifest, Region
from tlcli.data.findings import LABEL_KINDS, Entry, excluding, relabelling
from tlcli.data.grouping import check_groups
from tlcli.data.samples import class_counts
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system.files import expanded
from tlcli.system.shown import shown
from tlcli.system.standing import addressed

# Keys of Choosing.
CHOICES = frozenset({"exclude", "relabel", "groups"})


@dataclass(frozen=True, kw_only=True)
class Choosing(DataSource):
    """Keys that every option has beside its own.

    Attributes:
        exclude: Table of pictures that are left out, as audit.csv of `tl audit`; null for none.
        relabel: Table of labels that are corrected; null for none.
        groups: What pictures that must share a split have in common: an expression that is looked
            for in their ids, or a column of the table; null for nothing.
    """

    exclude: str | None
    relabel: str | None
    groups: str | None

    def __post_init__(self) -> None:
        check_groups(self.groups)

    def manifest(self, seed: int, cache_dir: Path) -> Manifest:
        """Find the samples, complete the splits, correct labels and leave pictures out.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where a scan may be kept.

        Raises:
            ConfigError: There is no such source, or no such table.
            DataError: What is there cannot be used.
        """
        found = self.listed(seed, cache_dir)
        if self.relabel is not None:
            found = relabelled(found, expanded(self.relabel, "data.relabel"))
        if self.exclude is not None:
            found = without(found, expanded(self.exclude, "data.exclude"))
        return replace(found, root=addressed(found.root))

    @abstractmethod
    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """The samples as they are there; see `manifest`."""


def relabelled(manifest: Manifest, path: Path) -> Manifest:
    """The data with labels corrected by a table.

    Raises:
        ConfigError: It is no such table.
        DataError: A class that the data lacks, or only pictures that it lacks.
    """
    entries = relabelling(path)
    rows, used = _rows(manifest, path, [entry.id for entry in entries])
    labels = manifest.labels.copy()
    index = {name: number for number, name in enumerate(manifest.class_names)}
    for row, entry in zip(rows, (entries[place] for place in used), strict=True):
        labels[row] = _label(manifest, path, index, entry.suggestion)
    differ = labels != manifest.labels
    changed = np.flatnonzero(differ.any(1) if labels.ndim == 2 else differ)
    note = f"labels corrected by {shown(path)}: {_by_split(manifest, changed)}"
    return _mixed(replace(manifest, labels=labels), "relabel", entries, _lacking(
        note, len(entries) - len(used)))  # fmt: skip


def without(manifest: Manifest, path: Path) -> Manifest:
    """The data without the pictures that a table names; they are in no split any more.

    A row on a label names its picture as long as the label is another than the one suggested.

    Raises:
        ConfigError: It is no such table.
        DataError: Nothing is left of a class or of all, or only pictures that the data lacks.
    """
    entries = excluding(path)
    rows, used = _rows(manifest, path, [entry.id for entry in entries])
    texts = _texts(manifest, rows)
    gone = {row for row, text, entry in
            zip(rows, texts, (entries[place] for place in used), strict=True)
            if entry.kind not in LABEL_KINDS or text != entry.suggestion}  # fmt: skip
    left = np.setdiff1d(np.arange(len(manifest.ids)), np.array(sorted(gone), np.int64))
    _check_left(manifest, left, path)
    taken = np.array(sorted(gone), np.int64)
    note = f"left out by {shown(path)}: {_by_split(manifest, taken)}"
    ids = {str(manifest.ids[row]) for row in gone}
    report = dict(manifest.report)
    pairs = report.get("duplicates") or ()
    report["duplicates"] = [pair for pair in pairs if not ids & set(map(str, pair))]
    kept = replace(
        manifest, ids=manifest.ids[left], labels=manifest.labels[left],
        splits=manifest.splits[left], images=Kept(manifest.images, left), report=report,
    )  # fmt: skip
    return _mixed(kept, "exclude", entries, _lacking(note, len(entries) - len(used)))


def _rows(manifest: Manifest, path: Path, ids: Sequence[str]) -> tuple[list[int], list[int]]:
    """Rows of those ids that the data has, and their places among all."""
    known = {str(name): row for row, name in enumerate(manifest.ids)}
    used = [place for place, name in enumerate(ids) if name in known]
    if ids and not used:
        raise DataError(
            str(path), f"names no picture of {shown(manifest.root)}, as {shown(ids[0])}",
            "Give the audit.csv of this data.",
        )  # fmt: skip
    return [known[ids[place]] for place in used], used


def _label(manifest: Manifest, path: Path, index: Mapping[str, int], text: str) -> Any:
    """A label from its words."""
    names = text.split("|") if manifest.multi_label else [text]
    for name in names:
        if name not in index:
            raise DataError(
                str(path), f"suggests the class {shown(name)!r}, which the data lacks",
                "Correct the column suggestion, or delete the row.",
            )  # fmt: skip
    if not manifest.multi_label:
        return index[text]
    hot = np.zeros(len(index), manifest.labels.dtype)
    hot[[index[name] for name in names]] = 1
    return hot


def _texts(manifest: Manifest, rows: Sequence[int]) -> list[str]:
    """Labels of some rows in words."""
    names = np.array([*manifest.class_names, ""], object)
    if manifest.multi_label:
        return ["|".join(names[:-1][manifest.labels[row] > 0]) for row in rows]
    return [str(names[manifest.labels[row]]) for row in rows]


def _check_left(manifest: Manifest, left: Any, path: Path) -> None:
    """Refuse to leave a class without training images."""
    if not len(left):
        raise DataError(str(path), "leaves no picture", "Delete some of its rows.")
    count = len(manifest.class_names)
    train = manifest.splits == 0
    before = class_counts(manifest.labels[train], count)
    after = class_counts(manifest.labels[left][train[left]], count)
    gone = np.flatnonzero((before > 0) & (after == 0))
    if len(gone):
        name = shown(manifest.class_names[gone[0]])
        raise DataError(
            str(path), f"leaves no training image of the class {name!r}",
            "Delete some of its rows, or remove the class.",
        )  # fmt: skip


def _by_split(manifest: Manifest, rows: Any) -> str:
    counts = np.bincount(manifest.splits[rows], minlength=len(SPLIT_NAMES))
    told = [f"{count} of {name}" for count, name in zip(counts, SPLIT_NAMES, strict=False) if count]
    return ", ".join(told) or "none"


def _lacking(note: str, count: int) -> str:
    return f"{note}; {count} rows are of pictures that are not there" if count else note


def _mixed(manifest: Manifest, key: str, entries: Sequence[Entry], note: str) -> Manifest:
    """The data with a note, known by what was made of it."""
    digest = hashlib.sha256(key.encode())
    for entry in sorted(entries):
        digest.update("\0".join((entry.id, entry.kind, entry.suggestion, "")).encode())
    told = digest.hexdigest()

    def mixed(fingerprint: str | None) -> Any:
        if fingerprint is None:
            return None
        return hashlib.sha256(f"{fingerprint}\0{told}".encode()).hexdigest()

    notes = [*(manifest.report.get("notes") or ()), note]
    return replace(
        manifest, fingerprint=mixed(manifest.fingerprint), own=mixed(manifest.own),
        listed=mixed(manifest.listed), report={**manifest.report, "notes": notes},
    )  # fmt: skip


class Kept(ImageSource):
    """Some pictures of a source."""

    def __init__(self, source: ImageSource, rows: Any) -> None:
        """Take the source's rows, int64 (rows,), in this order."""
        self._source, self._rows = source, np.asarray(rows, np.int64)
        self.heeds_warnings = source.heeds_warnings
        if source.encoded is not None:
            self.encoded = self._encoded
        self._held: Any = None

    def _encoded(self, row: int) -> bytes:
        assert self._source.encoded is not None
        return self._source.encoded(int(self._rows[row]))

    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB, upright; see ImageSource."""
        if self._held is None:
            # A host tensor that graphs capture; an array would be copied into each of them.
            with tf.init_scope(), tf.device("/CPU:0"):
                self._held = tf.constant(self._rows)
        return self._source.image(tf.gather(self._held, index), short_side, region)

    def first_broken(self, rows: Any) -> DataError | None:
        """See ImageSource."""
        return self._source.first_broken(self._rows[np.asarray(rows, np.int64)])

    def hashes(self, rows: Any) -> Any:
        """See ImageSource."""
        return self._source.hashes(self._rows[np.asarray(rows, np.int64)])

    def known(self) -> Any:
        """See ImageSource."""
        found = self._source.known()
        return None if found is None else found[self._rows]
