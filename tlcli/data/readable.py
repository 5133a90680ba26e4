"""Files that can be read: what the scan or an earlier pass found faulty is left out, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import ImageSource
from tlcli.data.damage import Damage
from tlcli.data.encoded import file_images
from tlcli.data.grouping import Groups
from tlcli.data.hash_memory import memory_file
from tlcli.data.ids import as_ids
from tlcli.data.samples import Samples
from tlcli.data.scan import Listing, Scan
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system.opened import read_bytes


@dataclass(frozen=True)
class Reading:
    """How files are read: the fields that every file source has.

    Attributes:
        fractions: Validation and test share, for splits that are not given.
        max_pixels: Width times height above which a picture is unreadable.
        on_error: "skip" or "fail", for unreadable files.
        damaged: "skip", "use" or "fail", for pictures that libjpeg warns of.
        groups: From ids to what pictures of one split have in common, or None.
    """

    fractions: tuple[float, float]
    max_pixels: int
    on_error: str
    damaged: str
    groups: Groups | None = None


@dataclass(frozen=True)
class Files:
    """Readable files of a listing.

    Attributes:
        listing: All files.
        below: What the paths of all files begin with.
        names: The rest of the paths of the readable ones.
        samples: Their samples.
        scan: Their headers.
        skipped: Id and reason of each that was left out.
        count: How many files there are.
    """

    listing: Listing
    below: str
    names: Sequence[str]
    samples: Samples
    scan: Scan
    skipped: Sequence[tuple[str, str]]
    count: int

    def damage(self, cache_dir: Path, reading: Reading) -> Damage:
        """What is remembered of them."""
        left = (len(self.skipped), self.count)
        return Damage(self.listing.root, cache_dir, reading.on_error, reading.damaged, left)

    def without_faults(self, damage: Damage) -> tuple["Files", list[tuple[str, str]]]:
        """The files without those that are known to be faulty; and these, with the reasons.

        Raises:
            DataError: They are to stop the command.
        """
        stamps = np.stack([self.scan.sizes, self.scan.marks], -1)
        ids = self.samples.ids
        faults = damage.known(ids, stamps, lambda row: read_bytes(self.below + self.names[row],
                                                                  "picture"))  # fmt: skip
        if not faults:
            return self, []
        rows = np.setdiff1d(np.arange(len(ids)), list(faults))
        scan = self.scan.keep(rows)
        told = [(str(ids[row]), why) for row, why in faults.items()]
        return replace(
            self, names=as_ids(self.names)[rows], samples=self.samples.keep(rows),
            scan=replace(scan, twins=scan.twins[(scan.twins >= 0).all(1)]),
            skipped=[*self.skipped, *told],
        ), told  # fmt: skip

    def images(self, cache_dir: Path, damage: Damage) -> ImageSource:
        """Image source over them."""
        memory = memory_file(self.listing.root, cache_dir)
        return file_images(
            self.below, self.names, self.samples.ids, self.scan, memory, self.listing.fresh, damage
        )


def readable(listing: Listing, samples: Samples, scan: Scan, reading: Reading) -> Files:
    """The files that can be read.

    Raises:
        DataError: Some cannot under "fail", or none can.
    """
    count = len(samples.ids)
    samples, rows, skipped = leave_out(samples, scan.problems, reading.on_error)
    below, names = listing.parted()
    if len(rows) < len(names):
        scan, names = scan.keep(rows), as_ids(names)[rows]
    return Files(listing, below, names, samples, scan, skipped, count)


def leave_out(
    samples: Samples, problems: Mapping[int, str], on_error: str
) -> tuple[Samples, Any, list[tuple[str, str]]]:
    """Samples without the unreadable ones.

    Args:
        samples: All of them.
        problems: Row to the reason why it cannot be read.
        on_error: "skip" or "fail".

    Returns:
        The others; their rows, int64; and (id, reason) of each that was left out.

    Raises:
        DataError: Some are unreadable under "fail", or all are.
    """
    skipped = [(str(samples.ids[row]), why) for row, why in sorted(problems.items())]
    readable = np.ones(len(samples.ids), bool)
    readable[np.array(list(problems), np.int64)] = False
    rows = np.flatnonzero(readable)
    if skipped and on_error == "fail":
        name, why = skipped[0]
        more = f" ({len(skipped)} such files)" if len(skipped) > 1 else ""
        raise DataError(name, f"{why}{more}", "Replace or remove it, or set data.on_error=skip.")
    if skipped and not len(rows):
        raise DataError(
            samples.where,
            f"none of the {len(skipped)} files can be read; {skipped[0][0]}: {skipped[0][1]}",
            "Give images that are read: JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF or JPEG 2000.",
        )
    return samples.keep(rows) if skipped else samples, rows, skipped
