"""What is known of samples before missing splits are carved: classes, sizes, fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION
from tlcli.data.ids import Ids
from tlcli.errors import DataError
from tlcli.lazy import np

SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "test": TEST,
}


@dataclass(frozen=True)
class Samples:
    """What is known of samples before missing splits are carved.

    Attributes:
        where: What the user named: place in messages.
        ids: Ids, or str (samples,).
        labels: int32 (samples,) or multi-hot uint8 (samples, classes).
        splits: int8 (samples,), all TRAIN where nothing is said.
        class_names: In index order.
        notes: Facts for the report.
    """

    where: str
    ids: Any
    labels: Any
    splits: Any
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def keep(self, rows: Any) -> "Samples":
        """The rows given, int64 (rows,)."""
        return replace(self, ids=self.ids[rows], labels=self.labels[rows], splits=self.splits[rows])


def class_counts(labels: Any, num_classes: int) -> Any:
    """Samples of each class, int64 (classes,)."""
    if labels.ndim == 2:
        return labels.sum(0, dtype=np.int64)
    return np.bincount(labels[labels >= 0], minlength=num_classes)


def check_classes(samples: Samples) -> None:
    """Refuse classes without a training image and data sets with one class.

    Raises:
        DataError: Naming the classes of both sides.
    """
    names, least = samples.class_names, 1 if samples.labels.ndim == 2 else 2
    if len(names) < least:
        found = f"only the class {names[0]!r}" if names else "no classes"
        raise DataError(samples.where, f"has {found}", f"Give images of {least} or more classes.")
    counts = [class_counts(samples.labels[samples.splits == s], len(names)) for s in range(3)]
    untrained = np.flatnonzero(counts[TRAIN] == 0)
    if not len(untrained):
        return
    sides = [
        f"{SPLIT_NAMES[split]} has {some_names(elsewhere)}"
        for split in (VALIDATION, TEST)
        if (elsewhere := [names[c] for c in untrained if counts[split][c]])
    ] or [f"not {some_names([names[c] for c in untrained])}"]
    trained = some_names([names[c] for c in np.flatnonzero(counts[TRAIN])]) or "no classes"
    raise DataError(
        samples.where,
        f"train has {trained}, but {' and '.join(sides)}",
        "Give every class images to train on, under one spelling, or remove the class.",
    )


def some_names(names: Sequence[str], most: int = 8) -> str:
    """Names for a message: the first few, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def describe_sizes(widths: Any, heights: Any) -> str:
    """Range of picture sizes in words."""
    if not len(widths):
        return "no pictures"
    if (widths == widths[0]).all() and (heights == heights[0]).all():
        return f"all {widths[0]}x{heights[0]}"
    return (
        f"{widths.min()}x{heights.min()} to {widths.max()}x{heights.max()}, "
        f"median {int(np.median(widths))}x{int(np.median(heights))}"
    )


def fingerprint(samples: Samples, facts: Sequence[Any]) -> str:
    """SHA-256 in hex over ids, class names, labels, splits and content.

    Args:
        samples: With all splits.
        facts: Arrays that stand for the content: sizes and checksums, or pixels. Not times, so
            that a copy of the data counts as the same.
    """
    digest = hashlib.sha256()
    for names in (samples.ids, samples.class_names):
        digest.update(b"%d\0" % len(names))
        if isinstance(names, Ids):
            digest.update(names.content)
        else:
            digest.update("\0".join(names).encode() + b"\0")
    for array in (samples.labels, samples.splits, *facts):
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
