"""Photos without labels: a folder of them, and how they join labelled images."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import TRAIN, VALIDATION, ImageSource, Manifest, Region
from tlcli.data import content
from tlcli.data.encoded import file_images
from tlcli.data.header import MAX_PIXELS
from tlcli.data.manifest import leave_out
from tlcli.data.samples import Samples, describe_sizes, fingerprint
from tlcli.data.scan import Listing, scan_files
from tlcli.data.walk import LeftOut, walk, writable
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system import console


def photos(
    root: Path,
    cache_dir: Path,
    where: str = "unlabelled",
    max_pixels: int = MAX_PIXELS,
    on_error: str = "skip",
) -> Manifest:
    """All pictures below a folder, whatever its folders are called; all for training.

    Args:
        root: The folder.
        cache_dir: Where the scan is kept.
        where: Key that names the folder, for messages.
        max_pixels: Width times height above which a picture counts as unreadable.
        on_error: "skip" or "fail", for unreadable files.

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
    names, count = listing.names, len(listing.names)
    samples = Samples(
        str(root), np.array(names, object), np.full(count, -1, np.int32),
        np.full(count, TRAIN, np.int8), (),
        left_out.notes(),
    )  # fmt: skip
    scan = scan_files(listing, max_pixels, cache_dir)
    samples, rows, skipped = leave_out(samples, scan.problems, on_error)
    scan, (below, every) = scan.keep(rows), listing.parted()
    kept = [every[row] for row in rows.tolist()]
    return Manifest(
        ids=samples.ids, labels=samples.labels, splits=samples.splits, class_names=(),
        images=file_images(
            below, kept, samples.ids, scan, content.memory_file(str(root), cache_dir)
        ),
        root=str(root), fingerprint=fingerprint(samples, [scan.sizes, scan.checksums]),
        report={
            "skipped": skipped, "sizes": describe_sizes(scan.widths, scan.heights),
            "notes": samples.notes,
        },
    )  # fmt: skip


def held_out(manifest: Manifest, fraction: float, seed: int) -> Manifest:
    """Photos of which a share is for validation: there the student is compared with its teacher."""
    count = round(len(manifest.ids) * fraction)
    chosen = np.random.default_rng(seed).permutation(len(manifest.ids))[:count]
    splits = manifest.splits.copy()
    splits[chosen] = VALIDATION
    return replace(manifest, splits=splits, fingerprint=_hash(manifest.fingerprint, splits))


def with_classes(manifest: Manifest, names: tuple[str, ...]) -> Manifest:
    """Photos that shall be told apart by some classes."""
    mixed = _hash(manifest.fingerprint, *names)
    own = manifest.own or manifest.fingerprint
    return replace(manifest, class_names=names, fingerprint=mixed, own=own)


def joined(labelled: Manifest, extra: Manifest) -> Manifest:
    """Data with photos added to its training images; their ids begin with "unlabelled/".

    Raises:
        DataError: An id that is there twice.
    """
    ids = np.array([f"unlabelled/{name}" for name in extra.ids], object)
    twice = set(ids) & set(map(str, labelled.ids))
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
        ids=np.concatenate([labelled.ids.astype(object), ids]),
        labels=np.concatenate([labelled.labels, labels]),
        splits=np.concatenate([labelled.splits, extra.splits]),
        images=_Joined(labelled.images, extra.images, len(labelled.ids), count),
        fingerprint=_hash(labelled.fingerprint, extra.fingerprint),
        own=labelled.own or labelled.fingerprint, own_count=len(labelled.ids), report=report,
    )  # fmt: skip


class _Joined(ImageSource):
    """Pictures of one source, then those of another."""

    def __init__(self, first: ImageSource, second: ImageSource, count: int, more: int) -> None:
        self._sources, self._count, self._more = (first, second), count, more

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
        for source, part in zip(
            self._sources, (rows[mine], rows[~mine] - self._count), strict=True
        ):
            if (problem := source.first_broken(part)) is not None:
                return problem
        return None

    def hashes(self, rows: Any) -> Any:
        """Hash of each row; see ImageSource."""
        rows = np.asarray(rows, np.int64)
        found, mine = np.zeros((len(rows), content.SIZE), np.uint8), rows < self._count
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
