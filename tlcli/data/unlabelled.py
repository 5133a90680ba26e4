"""Photos without labels: a folder of them, and how they join labelled images."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import TRAIN, VALIDATION, ImageSource, Manifest, Region
from tlcli.data.grouping import numbered, split_groups
from tlcli.data.hash_memory import SIZE
from tlcli.data.header import MAX_PIXELS
from tlcli.data.ids import Ids, as_ids
from tlcli.data.readable import Reading, readable
from tlcli.data.samples import Samples, describe_sizes, fingerprint
from tlcli.data.scan import Listing, scan_files
from tlcli.data.walk import LeftOut, walk, writable
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system import console

# How photos are read where the data's own options do not say.
READING = Reading((0.0, 0.0), MAX_PIXELS, "skip", "skip")


def photos(
    root: Path, cache_dir: Path, where: str = "unlabelled", reading: Reading = READING,
    seed: int = 0,
) -> Manifest:  # fmt: skip
    """All pictures below a folder, whatever its folders are called.

    All are for training, but the share that is held out for validation: there the student is
    compared with its teacher.

    Args:
        root: The folder.
        cache_dir: Where the scan is kept.
        where: Key that names the folder, for messages.
        reading: How they are read; its validation share is held out.
        seed: Decides which.

    Raises:
        ConfigError: No such folder.
        DataError: No picture in it, or an unreadable one under "fail".
    """
    if not root.is_dir():
        raise ConfigError(where, f"{root}: there is no such folder", "Give a folder of photos.")
    left_out = LeftOut()
    listed = console.staged(walk(str(root), left_out, lambda _: None), "listing", None, "files")
    found = sorted(writable(listed, left_out))
    if not found:
        why = f" ({'; '.join(left_out.notes())})" if left_out else ""
        raise DataError(str(root), f"has no pictures{why}", "Give a folder of photos.")
    listing = Listing.of(str(root), found)
    count = len(listing.names)
    samples = Samples(
        str(root), as_ids(listing.names), np.full(count, -1, np.int32),
        np.full(count, TRAIN, np.int8), (),
        left_out.notes(),
    )  # fmt: skip
    files = readable(listing, samples, scan_files(listing, reading.max_pixels, cache_dir), reading)
    samples = files.samples
    own = fingerprint(samples, [files.scan.sizes, files.scan.checksums])
    if reading.fractions[0]:
        samples = _held_out(samples, reading, seed)
        own = _hash(own, samples.splits)
    files = replace(files, samples=samples)
    damage = files.damage(cache_dir, reading)
    files, faults = files.without_faults(damage)
    mixed = _hash(own, *(name for name, _ in faults)) if faults else own
    return Manifest(
        ids=files.samples.ids, labels=files.samples.labels, splits=files.samples.splits,
        class_names=(), images=files.images(cache_dir, damage), root=str(root), fingerprint=mixed,
        report={
            "skipped": files.skipped,
            "sizes": describe_sizes(files.scan.widths, files.scan.heights),
            "notes": samples.notes,
        },
        own=own if faults else None, listed=own if faults else None,
    )  # fmt: skip


def _held_out(samples: Samples, reading: Reading, seed: int) -> Samples:
    """Photos of which a share is for validation."""
    fraction = reading.fractions[0]
    if reading.groups is not None:
        numbers = numbered(reading.groups(samples.ids))
        found = split_groups(samples.labels, numbers, (fraction, 0.0), seed)
        return replace(samples, splits=found)
    count = round(len(samples.ids) * fraction)
    splits = samples.splits.copy()
    splits[np.random.default_rng(seed).permutation(len(samples.ids))[:count]] = VALIDATION
    return replace(samples, splits=splits)


def with_classes(manifest: Manifest, names: tuple[str, ...]) -> Manifest:
    """Photos that shall be told apart by some classes."""
    mixed = _hash(manifest.fingerprint, *names)
    own = manifest.own or manifest.fingerprint
    listed = _hash(manifest.listed, *names) if manifest.listed else None
    return replace(manifest, class_names=names, fingerprint=mixed, own=own, listed=listed)


def joined(labelled: Manifest, extra: Manifest) -> Manifest:
    """Data with photos added to its training images; their ids begin with "unlabelled/".

    Raises:
        DataError: An id that is there twice.
    """
    ids = Ids.of(f"unlabelled/{name}" for name in extra.ids)
    twice = {str(name) for name in labelled.ids if str(name).startswith("unlabelled/")} & {*ids}
    if twice:
        raise DataError(labelled.root, f"has an image {min(twice)} too", "Rename its folder.")
    count = len(ids)
    labels = (
        np.zeros((count, labelled.labels.shape[1]), labelled.labels.dtype)
        if labelled.multi_label
        else np.full(count, -1, labelled.labels.dtype)
    )
    report = dict(labelled.report)
    report["skipped"] = [*(report.get("skipped") or ()), *(extra.report.get("skipped") or ())]
    notes = [f"{count} unlabelled photos of {extra.root}, {extra.report['sizes']}"]
    report["notes"] = [*notes, *(report.get("notes") or ()), *extra.report["notes"]]
    return replace(
        labelled,
        ids=Ids.joined([as_ids(labelled.ids), ids]),
        labels=np.concatenate([labelled.labels, labels]),
        splits=np.concatenate([labelled.splits, extra.splits]),
        images=_Joined(labelled.images, extra.images, len(labelled.ids), count),
        fingerprint=_hash(labelled.fingerprint, extra.fingerprint),
        own=labelled.own or labelled.fingerprint, own_count=len(labelled.ids), report=report,
        listed=_all_listed(labelled, extra),
    )  # fmt: skip


def _all_listed(labelled: Manifest, extra: Manifest) -> str | None:
    """Fingerprint with what was left out as faulty, if anything was."""
    if labelled.listed is None and extra.listed is None:
        return None
    return _hash(*(one.listed or one.fingerprint for one in (labelled, extra)))


class _Joined(ImageSource):
    """Pictures of one source, then those of another."""

    def __init__(self, first: ImageSource, second: ImageSource, count: int, more: int) -> None:
        self._sources, self._count, self._more = (first, second), count, more
        self.heeds_warnings = first.heeds_warnings or second.heeds_warnings

    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB; see ImageSource."""
        first, second = self._sources
        image = tf.cond(
            index < self._count,
            lambda: first.image(index, short_side, region),
            lambda: second.image(index - self._count, short_side, region),
        )
        return tf.ensure_shape(image, (None, None, 3))

    def first_broken(self, rows: Any) -> DataError | None:
        """The first of some rows that does not decode, told; see ImageSource."""
        rows = np.asarray(rows)
        mine = rows < self._count
        parts = (rows[mine], rows[~mine] - self._count)
        problems = (s.first_broken(part) for s, part in zip(self._sources, parts, strict=True))
        return next((problem for problem in problems if problem is not None), None)

    def hashes(self, rows: Any) -> Any:
        """Hash of each row; see ImageSource."""
        rows = np.asarray(rows, np.int64)
        found, mine = np.zeros((len(rows), SIZE), np.uint8), rows < self._count
        found[mine] = self._sources[0].hashes(rows[mine])
        found[~mine] = self._sources[1].hashes(rows[~mine] - self._count)
        return found

    def known(self) -> Any:
        """Rows whose hash is known; see ImageSource."""
        first, second = (source.known() for source in self._sources)
        return np.concatenate([_mine(first, self._count), _mine(second, self._more)])


def _mine(found: Any, count: int) -> Any:
    """What a source knows of its rows; nothing where it does not tell."""
    return np.zeros(count, bool) if found is None else found


def _hash(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()
