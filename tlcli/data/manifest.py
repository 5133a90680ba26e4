"""What all sources share: carve missing splits, check classes, describe sizes, fingerprint."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data.grouping import Groups, apart, numbered, split_groups
from tlcli.data.ids import as_ids
from tlcli.data.index import Index, Known, now_ns
from tlcli.data.readable import Reading, readable
from tlcli.data.samples import Samples, check_classes, class_counts, describe_sizes, fingerprint
from tlcli.data.scan import Listing, Scan, scan_files
from tlcli.data.split import split_labels
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system.shown import shown

# Samples, files, and the folders and files whose times tell of a change.
Listed = tuple[Samples, Listing, Sequence[str]]


def indexed_manifest(
    index: Index, where: str, listed: Callable[[], Listed], reading: Reading, seed: int,
    cache_dir: Path,
) -> Manifest:  # fmt: skip
    """Manifest of files that are listed and scanned, or known from the index.

    Args:
        index: Of the source.
        where: What the user named: place in messages.
        listed: Finds the files.
        reading: How they are read.
        seed: Decides what is carved from train.
        cache_dir: Where the scan is kept.

    Raises:
        DataError: Unreadable files under "fail", classes that do not fit, too few images.
    """
    known = index.load()
    if known is not None:
        samples = Samples(
            where, as_ids(known.listing.names), known.labels, known.splits,
            known.class_names, (*known.notes, index.trusted),
        )  # fmt: skip
        return _manifest(samples, known.listing, known.scan, reading, seed, cache_dir)
    started = now_ns()
    samples, listing, folders = listed()
    check_classes(samples)
    scan = scan_files(listing, reading.max_pixels, cache_dir)
    made = _manifest(samples, listing, scan, reading, seed, cache_dir)
    columns = (samples.labels, samples.splits, samples.class_names, samples.notes)
    index.save(Known(listing, scan, *columns), folders, started)
    return made


def _manifest(
    every: Samples, listing: Listing, scan: Scan, reading: Reading, seed: int, cache_dir: Path
) -> Manifest:  # fmt: skip
    """Leave out or refuse unreadable files, complete the splits.

    Raises:
        DataError: Unreadable files under "fail", classes that do not fit, too few images.
    """
    files = readable(listing, every, scan, reading)
    check_readable(every, files.samples.ids, files.skipped)
    # Splits are decided first: they are the same whether or not a fault was found yet.
    files = replace(files, samples=settle(files.samples, reading.fractions, seed, reading.groups))
    own = fingerprint(files.samples, [files.scan.sizes, files.scan.checksums])
    damage = files.damage(cache_dir, reading)
    whole, faults = files.without_faults(damage)
    if faults:
        check_readable(files.samples, whole.samples.ids, whole.skipped)
        check_classes(whole.samples)
    samples, scan = whole.samples, whole.scan
    duplicates, conflicts = _duplicates(samples, scan.twins)
    return Manifest(
        ids=samples.ids,
        labels=samples.labels,
        splits=samples.splits,
        class_names=samples.class_names,
        images=whole.images(cache_dir, damage),
        root=listing.root,
        fingerprint=fingerprint(samples, [scan.sizes, scan.checksums]),
        report={
            "skipped": whole.skipped,
            "duplicates": duplicates,
            "sizes": describe_sizes(scan.widths, scan.heights),
            "notes": [*samples.notes, *conflicts],
        },
        own=own if faults else None,
        listed=own if faults else None,
    )


def check_readable(samples: Samples, kept: Any, skipped: Sequence[tuple[str, str]]) -> None:
    """Refuse a class all of whose pictures are unreadable: it would be gone.

    Args:
        samples: All of them.
        kept: Ids of those that can be read.
        skipped: See leave_out.

    Raises:
        DataError: Naming the class, files of it and why they cannot be read.
    """
    if len(kept) == len(samples.ids):
        return
    left = {name for name, _ in skipped}
    count, every = len(samples.class_names), len(samples.ids)
    rows = np.fromiter((str(name) not in left for name in samples.ids), bool, every)
    before, after = (
        class_counts(labels, count) for labels in (samples.labels, samples.labels[rows])
    )
    gone = np.flatnonzero((before > 0) & (after == 0))
    if not len(gone):
        return
    of_class = samples.labels == gone[0] if samples.labels.ndim == 1 else samples.labels[:, gone[0]]
    ids = set(samples.ids[np.flatnonzero(of_class)])
    first = [f"{shown(name)} ({shown(why)})" for name, why in skipped if name in ids]
    raise DataError(
        samples.where,
        f"none of the {len(first)} pictures of the class {samples.class_names[gone[0]]!r} can be "
        f"read: {', '.join(first[:3])}{', …' if len(first) > 3 else ''}",
        "Replace these files, or remove the class.",
    )


def settle(
    samples: Samples, fractions: tuple[float, float], seed: int, groups: Groups | None = None
) -> Samples:
    """Samples with checked classes and all splits.

    Args:
        samples: With the splits that are given.
        fractions: Of validation and of test, where they are not.
        seed: Decides what is carved from train.
        groups: From ids to what pictures of one split have in common, or None.

    Raises:
        DataError: Classes that do not fit, or too few samples or groups.
    """
    check_classes(samples)
    if groups is None:
        return _complete_splits(samples, fractions, seed)
    numbers = numbered(groups(samples.ids))
    found = _complete_splits(samples, fractions, seed, numbers)
    note = f"{numbers.max() + 1:,} groups"
    if given := apart(numbers, found.splits):
        note += f", {given:,} of them in several splits, as these are given"
    return replace(found, notes=(*found.notes, note))


def _complete_splits(
    samples: Samples, fractions: tuple[float, float], seed: int, numbers: Any = None
) -> Samples:
    """Samples with the missing splits carved from train, and notes on that.

    Validation is carved when it is not given; test only when neither is.
    """
    has_validation, has_test = (bool((samples.splits == s).any()) for s in (VALIDATION, TEST))
    validation = 0.0 if has_validation else fractions[0]
    test = 0.0 if has_validation or has_test else fractions[1]
    notes = list(samples.notes)
    if has_validation and not has_test:
        notes.append("there is no test split; validation is given, so test stays empty")
    if not validation and not test:
        return replace(samples, notes=tuple(notes))
    train = np.flatnonzero(samples.splits == TRAIN)
    splits, shares = samples.splits.copy(), (validation, test)
    if numbers is None:
        _check_enough(samples, validation, test)
        splits[train] = split_labels(samples.labels[train], shares, seed)
    else:
        splits[train] = split_groups(samples.labels[train], numbers[train], shares, seed)
    for split, share in ((VALIDATION, validation), (TEST, test)):
        if share:
            count = int((splits == split).sum())
            notes.append(f"{SPLIT_NAMES[split]}: {count} images taken from train by the seed")
    return replace(samples, splits=splits, notes=tuple(notes))


def _check_enough(samples: Samples, validation: float, test: float) -> None:
    """Refuse a class with fewer training images than splits are made of them."""
    if samples.labels.ndim == 2:
        return
    train = samples.labels[samples.splits == TRAIN]
    counts = class_counts(train, len(samples.class_names))
    needed = 1 + (validation > 0) + (test > 0)
    few = np.flatnonzero(counts < needed)
    if len(few):
        count, name = counts[few[0]], samples.class_names[few[0]]
        zeros = {"data.validation_fraction=0": validation, "data.test_fraction=0": test}
        raise DataError(
            samples.where,
            f"class {name!r} has {count} image{'s' if count != 1 else ''} to train on, "
            f"too few for {needed} splits",
            f"Give it {needed} or more, or set {' and '.join(k for k, v in zeros.items() if v)}.",
        )


def _duplicates(samples: Samples, twins: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Pairs of equal files in different splits; and a note on equal files of different classes."""
    ids, labels, splits = samples.ids, samples.labels, samples.splits
    first, other = twins.T
    apart = splits[first] != splits[other]
    pairs = list(zip(ids[first[apart]], ids[other[apart]], strict=True))
    differ = labels[first] != labels[other]
    conflicts = np.unique(first[differ if differ.ndim == 1 else differ.any(1)])
    if not len(conflicts):
        return pairs, []
    same = " = ".join([ids[conflicts[0]], *ids[other[first == conflicts[0]]]])
    return pairs, [f"{len(conflicts)} pictures stand under different labels, as {same}"]
