"""What a start needs of many files, kept: the list, classes and headers, without asking each file.

Up to STAT_ALL files each start looks at the size and times of every file. Above, the list of last
time is used while the folders (and the table) have the times they had, and a sample of files too. A
file that is added, removed or renamed changes the time of its folder. One that is overwritten in
place is noticed when its content is asked for: before features or teacher outputs of last time are
used, when a state is saved and when the run is written. Then the training stops and says so;
`touch` its folder, or empty the cache folder, to list anew. The plan says what was trusted.
"""

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.data.content import TICK_NS
from tlcli.data.hash_memory import joined
from tlcli.data.ids import Ids
from tlcli.data.scan import Listing, Scan, load_scan, scan_file
from tlcli.data.stamps import stamp, stamps
from tlcli.lazy import np
from tlcli.system import cache
from tlcli.system.array_file import load_npz

STAT_ALL = 100_000
_SAMPLE = 4096
_VERSION = 2


@dataclass(frozen=True)
class Known:
    """Files as they were found.

    Attributes:
        listing: The files.
        scan: Their headers.
        labels: int32 (files,) or multi-hot uint8 (files, classes).
        splits: As given, int8 (files,).
        class_names: In index order.
        notes: Facts for the report.
    """

    listing: Listing
    scan: Scan
    labels: Any
    splits: Any
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


class Index:
    """The kept list of one source."""

    def __init__(self, root: str, facts: Sequence[Any], max_pixels: int, cache_dir: Path) -> None:
        """Name the files of the cache.

        Args:
            root: Folder that the files' names start from.
            facts: What else decides which files there are and what their labels are.
            max_pixels: See scan_files.
            cache_dir: Folder of the cache.
        """
        key = json.dumps([_VERSION, os.path.realpath(root), max_pixels, *facts])
        self.root = root
        self.path = cache_dir / f"index-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        self.trusted = ""
        self.scan_path = scan_file(root, max_pixels, cache_dir)

    def load(self) -> Known | None:
        """The list of last time, if nothing is known to have changed."""
        if not self.path.is_file():
            return None
        held = cache.read(self.path, _read)
        if held is None:
            return None
        words, labels, splits, times = held
        if not np.array_equal(_times(words["folders"]), times):
            return None
        found = load_scan(self.scan_path)
        if found is None or zlib.crc32(found[0]) != words["names"]:
            return None
        names, scan = Ids.split(found[0]), found[1]
        listing = Listing(self.root, names, scan.sizes, scan.marks, fresh=False)
        self.trusted = _trusted(len(names), len(words["folders"]))
        if not _sample_is_same(listing):
            return None
        return Known(listing, scan, labels, splits, tuple(words["classes"]), tuple(words["notes"]))

    def save(self, known: Known, folders: Iterable[str], started_ns: int) -> None:
        """Keep a list whose scan is kept already; nothing of few files.

        Args:
            known: The list.
            folders: All folders and files whose times tell of a change.
            started_ns: When the listing began; what changed at that time may have been missed.
        """
        if len(known.listing.names) <= STAT_ALL:
            return
        folders = list(folders)
        times = _times(folders)
        if (times[:, 0] < 0).any() or _latest(folders) > started_ns - TICK_NS:
            return
        words = {
            "folders": folders, "classes": known.class_names, "notes": known.notes,
            "names": zlib.crc32(joined(known.listing.names)),
        }  # fmt: skip
        columns = {
            "words": np.frombuffer(json.dumps(words).encode(), np.uint8), "times": times,
            "labels": known.labels, "splits": known.splits,
        }  # fmt: skip
        cache.write(self.path, lambda file: np.savez(file, **columns))


def _read(path: Path) -> tuple[Any, Any, Any, Any]:
    held = load_npz(path)
    words = json.loads(held["words"].tobytes())
    return words, held["labels"], held["splits"], held["times"]


def now_ns() -> int:
    """The time that files are stamped with."""
    return time.time_ns()


def _times(paths: Sequence[str]) -> Any:
    """Size and mark of each, int64 (paths, 2); -1 and 0 where there is none."""
    return stamps(paths)


def _latest(paths: Sequence[str]) -> int:
    """Time of the latest change of content, ns."""
    return max(os.stat(path).st_mtime_ns for path in paths)


def _sample_is_same(listing: Listing) -> bool:
    """Whether an even sample of the files has the size and time that is kept."""
    count = len(listing.names)
    for row in np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(int)).tolist():
        found = stamp(os.path.join(listing.root, listing.names[row]))
        if found != (listing.sizes[row], listing.marks[row]):
            return False
    return True


def _trusted(files: int, folders: int) -> str:
    """What a start with a list of last time did not look at, for the plan."""
    looked = min(_SAMPLE, files)
    return (
        f"trusted: the list of {files:,} files is that of last time, for {folders:,} folders and "
        f"{looked:,} of the files are unchanged; the others are looked at before anything that was "
        "computed of them is used, and before their identity is written"
    )
