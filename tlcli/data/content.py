"""What pictures are, by their whole content: hashes taken where bytes are read anyway, and kept.

A hash is remembered with the size, time of change, inode and device of its file, and made anew when
any of them differs. It depends on nothing but the bytes, so data elsewhere is known by it again.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.data import hash_memory
from tlcli.data.hash_memory import SIZE
from tlcli.data.stamps import GONE, stamp_of, stamps
from tlcli.errors import DataError
from tlcli.lazy import np
from tlcli.system import console
from tlcli.system.notes import EXPERT
from tlcli.system.remote import StoreError
from tlcli.system.shown import shown

AGAIN = "It was changed since the data was listed; run the command again."
# Clocks of file systems tick up to two seconds apart.
TICK_NS = 2 * 10**9
_AT_A_TIME = 256
_SAVE_SECONDS = 30


def content_hash(data: Any) -> bytes:
    """Hash of bytes, SIZE bytes."""
    return hashlib.blake2b(data, digest_size=SIZE).digest()


def combined(hashes: Any) -> str:
    """Hash of some hashes in order, hex."""
    return hashlib.blake2b(np.ascontiguousarray(hashes).tobytes(), digest_size=SIZE).hexdigest()


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
        unnamed: Whether names are numbers, which say little without the file.
    """

    files: Callable[[int], str] | Sequence[str]
    numbers: Any
    stamps: Any
    names: Sequence[str]
    read: Callable[[int], Any]
    memory: Path | None
    fresh: bool = True
    unnamed: bool = False

    def file_of(self, row: int) -> int:
        """Number of the file that holds a row."""
        return row if self.numbers is None else int(self.numbers[row])

    def path(self, file: int) -> str:
        """Path of a file."""
        return self.files(file) if callable(self.files) else self.files[file]


class Contents:
    """Hashes of the pictures of a source, as far as they are known.

    Attributes:
        changed: What was read and was another than when it was listed, told; None where all is as
            it was.
    """

    changed: DataError | None = None

    def __init__(self, origin: Origin) -> None:
        self._origin, self._lock = origin, threading.Lock()
        self._hashes: Any = None
        self._known: Any = None
        self._new: Any = None
        self._vouched: Any = None
        self._saved = time.monotonic()
        self._checked = origin.fresh

    def note(self, row: int, data: Any) -> None:
        """Take the hash of a row whose bytes were read for another reason."""
        self._open()
        if not self._known[row]:
            self._hashes[row] = np.frombuffer(content_hash(data), np.uint8)
            self._known[row] = self._new[row] = True

    def taken(self, row: int, data: bytes, now: tuple[int, int]) -> bytes:
        """Bytes of a row, if they are those that were listed, and those of earlier reads.

        Args:
            row: The row.
            data: What was read.
            now: Stamp of its file at that time.

        Raises:
            DataError: They are others.
        """
        if now != self.stamp(row) and not self._as_before(row, data):
            raise self.other(row, "is another file than when it was listed")
        self.note(row, data)
        return data

    def other(self, row: int, problem: str) -> DataError:
        """What is raised for a row that cannot be read as it was listed, kept in `changed`."""
        name = str(self._origin.names[row])
        if self._origin.unnamed:
            name = f"{self._origin.path(self._origin.file_of(row))} picture {name}"
        self.changed = DataError(shown(name), problem, AGAIN)
        return self.changed

    def unreached(self, row: int, error: StoreError) -> DataError:
        """What is raised for a row whose store does not answer, kept in `changed`.

        It is no fault of the picture, which must not be left out for it.
        """
        remedy = "Run it again: it goes on from what was saved, and what was read is kept."
        self.changed = DataError(shown(str(self._origin.names[row])), str(error), remedy)
        return self.changed

    def first_changed(self) -> DataError | None:
        """What is told of the first row that is another than when it was listed.

        Several threads read, and it is chance which of several such rows is seen first.
        """
        if self.changed is None:
            return None
        origin = self._origin
        now = stamps([origin.path(file) for file in range(len(origin.stamps))])
        for file in np.flatnonzero((now != origin.stamps).any(1)).tolist():
            own = [file] if origin.numbers is None else np.flatnonzero(origin.numbers == file)
            for row in map(int, own):
                try:
                    origin.read(row)
                except DataError as error:
                    return error
        return self.changed

    def _as_before(self, row: int, data: bytes) -> bool:
        """Whether bytes that were read before are the same, though their file was touched."""
        self._open()
        return bool(self._known[row]) and content_hash(data) == self._hashes[row].tobytes()

    def stamp(self, row: int) -> tuple[int, int]:
        """Bytes and mark of a row's file as it was listed."""
        size, mark = self._origin.stamps[self._origin.file_of(row)].tolist()
        return size, mark

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
        if parts:
            with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
                read = pool.map(self._read, parts)
                list(console.staged(read, "reading pictures", len(todo), "pictures", int))
        # All is written each time, which is much for the few rows of a block.
        if len(rows) * 8 > len(self._known) or time.monotonic() > self._saved + _SAVE_SECONDS:
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
            if (found := hash_memory.read(self._origin.memory)) is not None:
                self._take(*found)
            self._vouched = self._known.copy()
            self._new = np.zeros(count, bool)

    def _take(self, names: bytes, old: Any, hashes: Any) -> None:
        mine = hash_memory.joined(self._origin.names)
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
        rows, self._saved = np.flatnonzero(self._new), time.monotonic()
        self._new[rows] = False
        files = np.unique([origin.file_of(row) for row in rows.tolist()])
        good = {file for file in files.tolist() if _settled(origin.path(file), origin.stamps[file])}
        self._vouched[[row for row in rows.tolist() if origin.file_of(row) in good]] = True
        if good:
            self._remember()

    def _remember(self) -> None:
        origin = self._origin
        assert origin.memory is not None
        stamps_now = np.where(self._vouched[:, None], self._row_stamps(), GONE)
        hash_memory.write(origin.memory, origin.names, stamps_now, self._hashes)


def _settled(path: str, listed: Any) -> bool:
    """Whether a file is as it was listed, and did not change a moment ago."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (
        stamp_of(status) == tuple(listed.tolist()) and status.st_ctime_ns < time.time_ns() - TICK_NS
    )
