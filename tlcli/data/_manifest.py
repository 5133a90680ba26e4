"""What all sources share: carve missing splits, check classes, describe sizes, fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data._decode import file_images
from tlcli.data._scan import Listing, Scan, same_files, scan_files
from tlcli.data._split import split_labels
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
class Files:
    """Image files with labels, before they are looked at.

    Attributes:
        where: What the user named: place in messages.
        listing: The files; their names are the ids.
        labels: int32 (files,) or multi-hot uint8 (files, classes).
        splits: int8 (files,), all TRAIN where nothing is said.
        class_names: In index order.
        notes: Facts for the report.
    """

    where: str
    listing: Listing
    labels: Any
    splits: Any
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """How files are read: the fields that every file source has.

    Attributes:
        fractions: Validation and test share, for splits that are not given.
        max_pixels: Width times height above which a picture is unreadable.
        on_error: "skip" or "fail", for unreadable files.
    """

    fractions: tuple[float, float]
    max_pixels: int
    on_error: str


def file_manifest(files: Files, reading: Reading, seed: int, cache_dir: Path) -> Manifest:
    """Scan the files, leave out or refuse unreadable ones, complete the splits.

    Raises:
        DataError: Unreadable files under "fail", classes that do not fit, too few images.
    """
    check_classes(files.where, files.labels, files.splits, files.class_names)
    scan = scan_files(files.listing, reading.max_pixels, cache_dir)
    skipped = [(str(files.listing.names[row]), why) for row, why in sorted(scan.problems.items())]
    if skipped:
        _judge_skipped(files, skipped, reading.on_error)
        files, scan = _readable(files, scan)
        check_classes(files.where, files.labels, files.splits, files.class_names)
    splits, notes = complete_splits(files, reading.fractions, seed)
    ids = np.array(files.listing.names, object)
    paths = files.listing.paths()
    duplicates, conflicts = _duplicates(ids, same_files(paths, scan), splits, files.labels)
    facts = (scan.sizes, scan.checksums)
    return Manifest(
        ids=ids,
        labels=files.labels,
        splits=splits,
        class_names=files.class_names,
        images=file_images(paths, ids, scan),
        root=files.listing.root,
        fingerprint=fingerprint(ids, files.labels, splits, files.class_names, facts),
        report={
            "skipped": skipped,
            "duplicates": duplicates,
            "sizes": describe_sizes(scan.widths, scan.heights),
            "notes": [*files.notes, *notes, *conflicts],
        },
    )


def _judge_skipped(files: Files, skipped: Sequence[tuple[str, str]], on_error: str) -> None:
    """Refuse unreadable files if that is asked for, or if nothing else is there."""
    name, why = skipped[0]
    if len(skipped) == len(files.labels):
        raise DataError(
            files.where,
            f"none of the {len(skipped)} files can be read; {name} {_verb(why)}",
            "Give JPEG, PNG, BMP, GIF or WebP images.",
        )
    if on_error == "fail":
        more = f" ({len(skipped)} such files)" if len(skipped) > 1 else ""
        raise DataError(
            f"{files.listing.root}/{name}",
            f"{why}{more}",
            "Replace or remove it, or set data.on_error=skip.",
        )


def _verb(why: str) -> str:
    """A reason as the end of a sentence that starts with a file's name."""
    return why if why.split()[0] in ("is", "has", "cannot") else f"is unreadable: {why}"


def _readable(files: Files, scan: Scan) -> tuple[Files, Scan]:
    """Both without the files that cannot be read."""
    keep = np.setdiff1d(np.arange(len(files.labels)), np.array(list(scan.problems), np.int64))
    listing = files.listing
    listing = Listing(
        listing.root, [listing.names[r] for r in keep], listing.sizes[keep], listing.mtimes[keep]
    )
    files = replace(files, listing=listing, labels=files.labels[keep], splits=files.splits[keep])
    return files, scan.keep(keep)


def class_counts(labels: Any, num_classes: int) -> Any:
    """Samples of each class, int64 (classes,)."""
    if labels.ndim == 2:
        return labels.sum(0, dtype=np.int64)
    return np.bincount(labels[labels >= 0], minlength=num_classes)


def check_classes(where: str, labels: Any, splits: Any, class_names: Sequence[str]) -> None:
    """Refuse classes without a training image and data sets with one class.

    Raises:
        DataError: Naming the classes of both sides.
    """
    least = 1 if labels.ndim == 2 else 2
    if len(class_names) < least:
        found = f"only the class {class_names[0]!r}" if class_names else "no classes"
        raise DataError(where, f"has {found}", f"Give images of {least} or more classes.")
    counts = [class_counts(labels[splits == s], len(class_names)) for s in range(3)]
    untrained = np.flatnonzero(counts[TRAIN] == 0)
    if not len(untrained):
        return
    trained = some_names([class_names[c] for c in np.flatnonzero(counts[TRAIN])])
    sides = [
        f"{SPLIT_NAMES[s]} has {some_names(names)}"
        for s in (VALIDATION, TEST)
        if (names := [class_names[c] for c in untrained if counts[s][c]])
    ] or [f"there is no image of {some_names([class_names[c] for c in untrained])}"]
    raise DataError(
        where,
        f"train has {trained or 'no classes'}, but {' and '.join(sides)} as well",
        "Give every class images to train on, under one spelling, or remove the class.",
    )


def some_names(names: Sequence[str], most: int = 8) -> str:
    """Names for a message: the first few, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def complete_splits(
    files: Files, fractions: tuple[float, float], seed: int
) -> tuple[Any, list[str]]:
    """Splits with the missing ones carved from train; and notes on what was done.

    Validation is carved when it is not given; test only when neither is.

    Raises:
        DataError: A class has too few images.
    """
    has_validation, has_test = ((files.splits == s).any() for s in (VALIDATION, TEST))
    shares = (
        0.0 if has_validation else fractions[0],
        0.0 if has_validation or has_test else fractions[1],
    )
    notes = []
    if has_validation and not has_test:
        notes.append("there is no test split; validation is given, so test stays empty")
    if not any(shares):
        return files.splits, notes
    train = np.flatnonzero(files.splits == TRAIN)
    labels = files.labels[train]
    _check_enough(files, class_counts(labels, len(files.class_names)), shares)
    splits = files.splits.copy()
    splits[train] = split_labels(labels, shares, seed)
    for split, share in ((VALIDATION, shares[0]), (TEST, shares[1])):
        if share:
            count = int((splits == split).sum())
            notes.append(f"{SPLIT_NAMES[split]}: {count} images taken from train by the seed")
    return splits, notes


def _check_enough(files: Files, counts: Any, shares: tuple[float, float]) -> None:
    needed = 1 + sum(share > 0 for share in shares)
    if files.labels.ndim == 2:
        return
    for row in np.flatnonzero(counts < needed):
        zero = " and ".join(
            f"data.{name}_fraction=0" for name, s in zip(SPLIT_NAMES[1:], shares, strict=True) if s
        )
        raise DataError(
            files.where,
            f"class {files.class_names[row]!r} has {counts[row]} image"
            f"{'s' if counts[row] != 1 else ''}, too few for {needed} splits",
            f"Give it {needed} or more, or set {zero}.",
        )


def _duplicates(
    ids: Any, groups: Sequence[Sequence[int]], splits: Any, labels: Any
) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of equal files in different splits; and a note on equal files of different classes."""
    pairs, conflicts = [], []
    for rows in groups:
        first = rows[0]
        pairs += [(ids[first], ids[row]) for row in rows[1:] if splits[row] != splits[first]]
        if (labels[rows] != labels[first]).any():
            conflicts.append(" = ".join(ids[row] for row in rows))
    notes = []
    if conflicts:
        notes.append(f"{len(conflicts)} pictures stand under different labels, as {conflicts[0]}")
    return pairs, notes


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


def fingerprint(
    ids: Any, labels: Any, splits: Any, class_names: Sequence[str], facts: Sequence[Any]
) -> str:
    """SHA-256 in hex over what defines a data set.

    Args:
        ids: str (samples,).
        labels: (samples,) or (samples, classes).
        splits: int8 (samples,).
        class_names: In index order.
        facts: Arrays that stand for the content: sizes and checksums, or pixels.
    """
    digest = hashlib.sha256()
    for names in (ids, class_names):
        digest.update(b"%d\0" % len(names) + "\0".join(names).encode() + b"\0")
    for array in (labels, splits, *facts):
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
