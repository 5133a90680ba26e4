"""Look at every file once: header, completeness, size; kept in a cache so a restart is quick."""

import hashlib
import json
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from tlcli.data.hash_memory import joined
from tlcli.data.header import BY_PILLOW, Header, UnreadableError, quiet_pillow, read_header
from tlcli.data.ids import Ids
from tlcli.data.stamps import stamps
from tlcli.lazy import np
from tlcli.system import cache, console
from tlcli.system.array_file import load_npz
from tlcli.system.opened import open_regular
from tlcli.system.remote import DENIED

_VERSION = 3
_CHUNK = 256
_COLUMNS = (
    *("sizes", "marks", "decoders", "orientations", "widths", "heights"),
    "checksums",
)


@dataclass(frozen=True)
class Listing:
    """Files in the order of the manifest.

    Attributes:
        root: Folder that relative paths start from.
        names: Paths below the root, or absolute.
        sizes: Bytes, int64 (files,); -1 where there is no such file.
        marks: See stamps.mark, int64 (files,).
        fresh: Whether every file was looked at now.
    """

    root: str
    names: Sequence[str]
    sizes: Any
    marks: Any
    fresh: bool = True

    @classmethod
    def of(cls, root: str, found: Iterable[tuple[str, int, int]]) -> "Listing":
        """Files with their stamps, one or more."""
        names, sizes, marks = bytearray(), array("q"), array("q")
        for name, size, mark in found:
            names += name.encode("utf-8", "surrogatepass") + b"\0"
            sizes.append(size)
            marks.append(mark)
        columns = (np.frombuffer(column, np.int64) for column in (sizes, marks))
        return cls(root, Ids(np.frombuffer(names, np.uint8)), *columns)

    def parted(self) -> tuple[str, Sequence[str]]:
        """What the paths of all files begin with, and the rest of each."""
        # os.path.join for each takes longer than all the rest of a cached restart.
        below = os.path.join(self.root, "")
        if not any(map(str.startswith, self.names, repeat("/"))):
            return below, self.names
        return "", Ids.of(name if name.startswith("/") else below + name for name in self.names)


@dataclass(frozen=True)
class Scan:
    """What the headers say, one entry a file.

    Attributes:
        sizes: Bytes, int64 (files,).
        marks: See stamps.mark, int64 (files,).
        decoders: BY_ numbers, uint8 (files,).
        orientations: EXIF orientation, uint8 (files,).
        widths: Pixels, upright, int32 (files,).
        heights: Pixels, upright, int32 (files,).
        checksums: CRC-32 of head and tail, uint32 (files,).
        problems: Row to the reason why a file is unreadable.
        twins: Pairs of rows whose files hold the same bytes, the first such row and another one,
            int64 (pairs, 2), sorted.
    """

    sizes: Any
    marks: Any
    decoders: Any
    orientations: Any
    widths: Any
    heights: Any
    checksums: Any
    problems: dict[int, str]
    twins: Any

    def keep(self, rows: Any) -> "Scan":
        """The rows given, int64 (rows,), which must be all that are readable."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        places = np.full(len(self.sizes), -1, np.int64)
        places[rows] = np.arange(len(rows))
        return Scan(**columns, problems={}, twins=places[self.twins])


def stat_files(root: str, names: Sequence[str]) -> Listing:
    """Listing of named files."""
    paths = console.staged(names, "listing", len(names), "files")
    found = stamps(os.path.join(root, name) for name in paths)
    return Listing(root, names, *np.ascontiguousarray(found.T))


def scan_files(listing: Listing, max_pixels: int, cache_dir: Path) -> Scan:
    """Header of each file; files of the same path, size, times and place are from the cache.

    Args:
        listing: The files.
        max_pixels: Width times height above which a picture counts as unreadable.
        cache_dir: Folder for the cache, made if missing.
    """
    path = scan_file(listing.root, max_pixels, cache_dir)
    names = joined(listing.names)
    cached = load_scan(path)
    if cached is not None and cached[0] == names and _unchanged(cached[1], listing):
        return cached[1]
    scan = _blank(listing)
    fresh = _reuse(scan, cached, listing) if cached else np.ones(len(listing.names), bool)
    rows = np.flatnonzero(fresh)
    if len(rows) > 10_000:
        console.say(f"reading the headers of {len(rows):,} files, once")
    _fill(scan, rows, listing, max_pixels)
    scan = replace(scan, twins=same_files(listing, scan))
    _save(path, names, _without_denied(scan))
    return scan


def _without_denied(scan: Scan) -> Scan:
    """The scan with other marks for what may not be read now: it is asked for again next time."""
    rows = [row for row, why in scan.problems.items() if why.startswith(DENIED)]
    marks = scan.marks.copy()
    marks[rows] += 1
    return replace(scan, marks=marks)


def scan_file(root: str, max_pixels: int, cache_dir: Path) -> Path:
    """Where the scan of a folder is kept."""
    key = f"{_VERSION}\0{max_pixels}\0{os.path.realpath(root)}"
    return cache_dir / f"scan-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def _unchanged(scan: Scan, listing: Listing) -> bool:
    pairs = [(getattr(scan, n), getattr(listing, n)) for n in ("sizes", "marks")]
    return all(np.array_equal(old, new) for old, new in pairs)


def _blank(listing: Listing) -> Scan:
    count = len(listing.names)
    return Scan(
        sizes=listing.sizes,
        marks=listing.marks,
        decoders=np.full(count, BY_PILLOW, np.uint8),
        orientations=np.ones(count, np.uint8),
        widths=np.zeros(count, np.int32),
        heights=np.zeros(count, np.int32),
        checksums=np.zeros(count, np.uint32),
        problems={},
        twins=np.zeros((0, 2), np.int64),
    )


def _reuse(scan: Scan, cached: tuple[bytes, Scan], listing: Listing) -> Any:
    """Copy what is known into a scan; returns the rows that are not, bool (files,)."""
    old_names, old = cached
    known = {name: row for row, name in enumerate(old_names.decode().split("\0"))}
    source = np.array([known.get(name, -1) for name in listing.names], np.int64)
    same = (source >= 0) & (old.sizes[source] == listing.sizes)
    same &= old.marks[source] == listing.marks
    for name in _COLUMNS:
        getattr(scan, name)[same] = getattr(old, name)[source[same]]
    targets = {int(source[row]): int(row) for row in np.flatnonzero(same)}
    scan.problems.update({targets[r]: why for r, why in old.problems.items() if r in targets})
    return ~same


def _fill(scan: Scan, rows: Any, listing: Listing, max_pixels: int) -> None:
    """Read the headers of some rows into a scan, in threads."""
    chunks = (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
    with quiet_pillow():
        parts = _in_threads(
            lambda some: (some, _headers(_paths(listing, some), max_pixels)), chunks
        )
        read = console.staged(parts, "reading headers", len(rows), "files", lambda p: len(p[0]))
        for some, found in read:
            _take(scan, some, found)


def _in_threads(work: Callable[[Any], Any], chunks: Iterable[Any]) -> Iterator[Any]:
    """What work makes of each chunk, in order; a few of them are under way, not all."""
    workers = min(32, 4 * (os.cpu_count() or 1))
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _take(scan: Scan, rows: Any, found: Sequence[Header | str]) -> None:
    for row, header in zip(rows.tolist(), found, strict=True):
        if isinstance(header, str):
            scan.problems[row] = header
            continue
        scan.decoders[row], scan.orientations[row] = header.decoder, header.orientation
        scan.widths[row], scan.heights[row] = header.width, header.height
        scan.checksums[row] = header.checksum


def _paths(listing: Listing, rows: Any) -> list[str]:
    return [os.path.join(listing.root, listing.names[row]) for row in rows.tolist()]


def _headers(paths: Iterable[str], max_pixels: int) -> list[Header | str]:
    return [header_or_problem(path, max_pixels) for path in paths]


def header_or_problem(source: str | bytes, max_pixels: int) -> Header | str:
    """Header of a file or of encoded bytes, or why there is none."""
    try:
        return read_header(source, max_pixels)
    except UnreadableError as problem:
        return str(problem)


def load_scan(path: Path) -> tuple[bytes, Scan] | None:
    """Names and scan from a cache file; None if there is none that can be used."""
    return cache.read(path, _read_scan)


def _read_scan(path: Path) -> tuple[bytes, Scan]:
    found = load_npz(path)
    columns = {name: found[name] for name in (*_COLUMNS, "twins")}
    names, problems = found["names"].tobytes(), json.loads(found["problems"].tobytes())
    return names, Scan(**columns, problems={int(row): why for row, why in problems.items()})


def _save(path: Path, names: bytes, scan: Scan) -> None:
    """Write a cache file whole or not at all."""
    columns = {name: getattr(scan, name) for name in (*_COLUMNS, "twins")}
    columns["problems"] = np.frombuffer(json.dumps(scan.problems).encode(), np.uint8)
    columns["names"] = np.frombuffer(names, np.uint8)
    cache.write(path, lambda file: np.savez(file, **columns))


def same_files(listing: Listing, scan: Scan) -> Any:
    """Readable files that hold the same bytes: see Scan.twins.

    Files of one size and one checksum of their ends are compared by SHA-256, links to one file
    once.
    """
    rows = np.setdiff1d(np.arange(len(listing.names)), np.array(list(scan.problems), np.int64))
    sizes, checksums = scan.sizes[rows], scan.checksums[rows]
    keys = (sizes.astype(np.uint64) << np.uint64(32)) ^ checksums.astype(np.uint64)
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    first: dict[bytes, int] = {}
    digests: dict[tuple[int, int], bytes] = {}
    pairs = array("q")
    alike = rows[counts[inverse] > 1].tolist()
    for row in console.staged(alike, "comparing files of one size", len(alike), "files"):
        path = os.path.join(listing.root, listing.names[row])
        status = os.stat(path)
        node = (status.st_dev, status.st_ino)
        if node not in digests:
            digests[node] = _digest(path)
        one = first.setdefault(digests[node], row)
        if one != row:
            pairs.extend((one, row))
    found = np.frombuffer(pairs, np.int64).reshape(-1, 2)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open_regular(path, "picture") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()
