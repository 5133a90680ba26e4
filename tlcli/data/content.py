"""What pictures are, by their whole content: hashes taken where bytes are read anyway, and kept.

A hash is remembered with the size, time of change, inode and device of its file, and made anew when
any of them differs. It depends on nothing but the bytes, so data elsewhere is known by it again.
"""

import contextlib
import hashlib
import json
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system import cache, console
from tlcli.system.notes import EXPERT

SIZE = 16
# Clocks of file systems tick up to two seconds apart.
TICK_NS = 2 * 10**9
GONE = (-1, 0)
_AT_A_TIME = 256


def content_hash(data: Any) -> bytes:
    """Hash of bytes, SIZE bytes."""
    return hashlib.blake2b(data, digest_size=SIZE).digest()


def combined(hashes: Any) -> str:
    """Hash of some hashes in order, hex."""
    return hashlib.blake2b(np.ascontiguousarray(hashes).tobytes(), digest_size=SIZE).hexdigest()


def mark(status: os.stat_result) -> int:
    """Times, inode and device of a file as one number, int64."""
    # Unlike that of texts, the hash of numbers is the same in each process.
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev))


def stamp(path: str | Path) -> tuple[int, int]:
    """Bytes and mark of a file; GONE where there is none."""
    try:
        return stamp_of(os.stat(path))
    except OSError:
        return GONE


def stamp_of(status: os.stat_result) -> tuple[int, int]:
    """Bytes and mark."""
    return status.st_size, mark(status)


def stamps(paths: Iterable[str | Path]) -> Any:
    """Stamp of each, int64 (files, 2)."""
    return np.array([stamp(path) for path in paths], np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class Origin:
    """Where the bytes of pictures come from.

    Attributes:
        files: Paths that hold them; or for one file a row, a function from row to path.
        numbers: File of each row, int32 (rows,), or None where each has its own.
        stamps: Stamp of each file as it was listed, int64 (files, 2).
        names: What the rows are called where hashes are remembered.
        read: Bytes of a row.
        memory: File that remembers, or None.
        fresh: Whether all files were looked at when they were listed.
    """

    files: Callable[[int], str] | Sequence[str]
    numbers: Any
    stamps: Any
    names: Sequence[str]
    read: Callable[[int], Any]
    memory: Path | None
    fresh: bool = True

    def file_of(self, row: int) -> int:
        """Number of the file that holds a row."""
        return row if self.numbers is None else int(self.numbers[row])

    def path(self, file: int) -> str:
        """Path of a file."""
        return self.files(file) if callable(self.files) else self.files[file]


class Contents:
    """Hashes of the pictures of a source, as far as they are known."""

    def __init__(self, origin: Origin) -> None:
        self._origin, self._lock = origin, threading.Lock()
        self._hashes: Any = None
        self._known: Any = None
        self._new: Any = None
        self._vouched: Any = None
        self._checked = origin.fresh

    def note(self, row: int, data: Any) -> None:
        """Take the hash of a row whose bytes were read for another reason."""
        self._open()
        if not self._known[row]:
            self._hashes[row] = np.frombuffer(content_hash(data), np.uint8)
            self._known[row] = self._new[row] = True

    def known(self) -> Any:
        """Rows whose hash is known without reading, bool (rows,)."""
        self._open()
        return self._known.copy()

    def of(self, rows: Any) -> Any:
        """Hashes of rows, those read that are not known yet, uint8 (rows, SIZE).

        Raises:
            DataError: A file is another than when it was listed, or cannot be read.
        """
        self._open()
        self._check()
        rows = np.asarray(rows, np.int64)
        todo = np.unique(rows[~self._known[rows]])
        if len(todo) > _AT_A_TIME:
            console.say(f"reading {len(todo):,} pictures to tell whether they are the same", EXPERT)
        parts = [todo[i : i + _AT_A_TIME] for i in range(0, len(todo), _AT_A_TIME)]
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            read = pool.map(self._read, parts)
            list(console.staged(read, "reading pictures", len(todo), "pictures", int))
        self.save()
        return self._hashes[rows]

    def _read(self, rows: Any) -> int:
        """Take the hashes of rows; gives their number."""
        for row in rows.tolist():
            try:
                self.note(row, self._origin.read(row))
            except OSError as error:
                name, why = self._origin.names[row], error.strerror or error
                raise DataError(name, f"cannot be read ({why})", "Run the command again.") \
                    from None  # fmt: skip
        return len(rows)

    def _check(self) -> None:
        """Look once at files whose list was trusted."""
        if self._checked:
            return
        origin = self._origin
        now = stamps([origin.path(file) for file in range(len(origin.stamps))])
        changed = np.flatnonzero((now != origin.stamps).any(1))
        if len(changed):
            problem = f"and {len(changed) - 1} more files are others" if len(changed) > 1 else (
                "is another file")  # fmt: skip
            raise DataError(
                origin.path(int(changed[0])), f"{problem} than when they were listed",
                "Touch their folder, so that it is listed anew.",
            )  # fmt: skip
        self._checked = True

    # ---- what is remembered -------------------------------------------------------------------

    def _open(self) -> None:
        """Room for all hashes, with those that are remembered."""
        if self._new is not None:
            return
        with self._lock:
            if self._new is not None:
                return
            count = len(self._origin.names)
            self._hashes, self._known = np.zeros((count, SIZE), np.uint8), np.zeros(count, bool)
            if (found := _remembered(self._origin.memory)) is not None:
                self._take(*found)
            self._vouched = self._known.copy()
            self._new = np.zeros(count, bool)

    def _take(self, names: bytes, old: Any, hashes: Any) -> None:
        mine = _joined(self._origin.names)
        now = self._row_stamps()
        if names == mine:
            source = np.arange(len(now))
        else:
            places = {name: row for row, name in enumerate(names.split(b"\0"))}
            source = np.array([places.get(name, -1) for name in mine.split(b"\0")], np.int64)
        same = (source >= 0) & (old[source] == now).all(1) & (now[:, 0] >= 0)
        self._hashes[same], self._known[same] = hashes[source[same]], True

    def _row_stamps(self) -> Any:
        origin = self._origin
        return origin.stamps if origin.numbers is None else origin.stamps[origin.numbers]

    def save(self) -> None:
        """Remember what is new, where the files are still those that were listed."""
        origin = self._origin
        if origin.memory is None or self._new is None or not self._new.any():
            return
        rows = np.flatnonzero(self._new)
        self._new[rows] = False
        files = np.unique([origin.file_of(row) for row in rows.tolist()])
        good = {file for file in files.tolist() if _settled(origin.path(file), origin.stamps[file])}
        self._vouched[[row for row in rows.tolist() if origin.file_of(row) in good]] = True
        if good:
            self._remember()

    def _remember(self) -> None:
        origin = self._origin
        names, now, hashes = _joined(origin.names), self._row_stamps(), self._hashes
        now = np.where(self._vouched[:, None], now, GONE)
        assert origin.memory is not None
        found = _remembered(origin.memory)
        if found is not None and found[0] != names:
            mine = set(names.split(b"\0"))
            theirs = found[0].split(b"\0")
            rest = [row for row, name in enumerate(theirs) if name not in mine]
            names = b"\0".join([names, *(theirs[row] for row in rest)])
            now = np.concatenate([now, found[1][rest]])
            hashes = np.concatenate([hashes, found[2][rest]])
        columns = {
            "names": np.frombuffer(names, np.uint8), "stamps": now, "hashes": hashes
        }  # fmt: skip
        cache.write(origin.memory, lambda file: np.savez(file, **columns))


def _joined(names: Sequence[str]) -> bytes:
    return "\0".join(map(str, names)).encode("utf-8", "surrogateescape")


def _remembered(path: Path | None) -> tuple[bytes, Any, Any] | None:
    """Names, stamps and hashes; None where there is nothing that can be used."""
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            names, old, hashes = file["names"].tobytes(), file["stamps"], file["hashes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    count = names.count(b"\0") + 1
    fits = old.shape == (count, 2) and hashes.shape == (count, SIZE)
    return (names, old, hashes) if fits and hashes.dtype == np.uint8 else None


def _settled(path: str, listed: Any) -> bool:
    """Whether a file is as it was listed, and did not change a moment ago."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (
        stamp_of(status) == tuple(listed.tolist()) and status.st_ctime_ns < time.time_ns() - TICK_NS
    )


def memory_file(key: str, cache_dir: Path) -> Path:
    """Where the hashes of one source are remembered."""
    return cache_dir / f"content-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def verified(path: Path, sha256: Callable[[Path], str], expected: str, cache_dir: Path) -> bool:
    """Whether a file has a SHA-256, read only if it changed since that was last seen.

    Args:
        path: The file.
        sha256: Takes the hash.
        expected: What it has to be, hex.
        cache_dir: Where it is remembered.
    """
    now = stamp(path)
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]
    kept = cache_dir / f"verified-{key}.json"
    with contextlib.suppress(OSError, ValueError):
        if json.loads(kept.read_text(encoding="utf-8")) == [*now, expected]:
            return True
    if sha256(path) != expected or stamp(path) != now:
        return False
    remember_verified(path, expected, cache_dir)
    return True


def remember_verified(path: Path, sha256: str, cache_dir: Path) -> None:
    """Remember the SHA-256 of a file that was just written or read, unless it changed just now."""
    now = stamp(path)
    key = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:24]
    with contextlib.suppress(OSError):
        cache_dir.mkdir(parents=True, exist_ok=True)
        temporary = cache_dir / f"verified-{key}.{os.getpid()}.tmp"
        temporary.write_text(json.dumps([*now, sha256]), encoding="utf-8")
        os.replace(temporary, cache_dir / f"verified-{key}.json")
