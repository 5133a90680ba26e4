"""Workers that share one piece of work through a folder, and never wait for a word of each other.

Each takes the next item that nobody has, does it, and says by a file that appears whole that it is
done. An item is held by a lock of the kernel, which ends with its process however that ends: what a
lost worker held is taken by another. Where a file system knows no locks, or a worker hangs, items
are done twice, which costs time and changes nothing.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from tlcli.errors import DataError
from tlcli.system import console, files

Item = TypeVar("Item")

# Seconds without any item done, after which those that others hold are done here too.
PATIENCE = 60.0
PAUSE = 0.05
# Seconds between two lines that tell how far all are.
TOLD = 10.0
ABANDONED_SECONDS = 86_400
DONE = "done"
PART = ".part"
# What a file system says that knows no locks.
LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True)
class Crew:
    """A worker among those that share a command's work.

    Attributes:
        folder: That all of them see; None for one alone.
        rank: Number of this one; the chief, who writes what comes of the work, is 0.
        size: How many there are.
    """

    folder: Path | None = None
    rank: int = 0
    size: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the results."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to share with."""
        return self.size == 1 or self.folder is None

    def place(self, name: str, facts: str) -> Path:
        """The folder of a piece of work, made; another's parts are never mistaken for its own.

        Args:
            name: Of the work.
            facts: All that its results depend on.

        Raises:
            WriteError: It cannot be made.
        """
        assert self.folder is not None
        key = hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        place = self.folder / f"{name}-{key}"
        files.make_folder(place)
        return place

    @contextlib.contextmanager
    def one_by_one(self) -> Iterator[None]:
        """Inside, no other worker is at the same time.

        Raises:
            WriteError: The folder cannot be written.
        """
        if self.folder is None:
            yield
            return
        files.make_folder(self.folder)
        with held(self.folder / "one.lock", wait=True):
            yield

    def rotated(self, count: int) -> list[int]:
        """Numbers below a count, from a place of this worker's own."""
        start = self.rank * count // self.size
        return [*range(start, count), *range(start)]


ALONE = Crew()


@dataclass(frozen=True)
class Work(Generic[Item]):
    """Items that any worker may do.

    Attributes:
        folder: Of the locks.
        items: Gives them, each by a name of its own, anew at each call.
        do: Does one; what it wrote appears whole.
        done: Whether one is done, by its name.
        over: Whether all are done, and their files gone already.
        tell: What is done, in words, for the worker that tells how far all are; else empty.
        patience: Seconds, see PATIENCE.
    """

    folder: Path
    items: Callable[[], Iterable[tuple[str, Item]]]
    do: Callable[[str, Item], None]
    done: Callable[[str], bool]
    over: Callable[[], bool] = field(default=lambda: False)
    tell: str = ""
    patience: float = PATIENCE

    def finish(self) -> list[str]:
        """Do what nobody does, until all is done; gives the names of all items in their order.

        Raises:
            DataError: An item is no more.
            WriteError: The folder cannot be written.
        """
        names: list[str] = []
        left: set[str] = set()
        progress = _Progress(self.tell)
        for name, item in self.items():
            names.append(name)
            if not self._attempt(name, item):
                left.add(name)
            progress.told(len(names) - len(left), None)
        since = time.monotonic()
        while left and not self.over():
            still = {name for name in left if not self.done(name)}
            since = time.monotonic() if len(still) < len(left) else since
            left = still
            progress.told(len(names) - len(left), len(names))
            if time.monotonic() - since > self.patience:
                free = left
            else:
                free = {name for name in left if self._is_free(name)}
            if free:
                self._again(free)
                since = time.monotonic()
            else:
                time.sleep(PAUSE)
        return names

    def _again(self, free: set[str]) -> None:
        """Go through all items once more, and do some of them.

        Raises:
            DataError: One of them is no more.
        """
        found = 0
        for name, item in self.items():
            if name in free:
                found += 1
                self._attempt(name, item, forced=True)
        if found < len(free):
            problem = "is of files that came, went or changed while they were looked through"
            raise DataError(str(self.folder), problem, "Run the command again.")

    def _attempt(self, name: str, item: Item, forced: bool = False) -> bool:
        """Do an item that nobody does or did; whether it is done."""
        if self.done(name):
            return True
        with held(self._lock(name)) as mine:
            if not mine and not forced:
                return False
            if not self.done(name):
                self.do(name, item)
        with contextlib.suppress(OSError):
            self._lock(name).unlink(missing_ok=True)
        return True

    def _is_free(self, name: str) -> bool:
        with held(self._lock(name)) as mine:
            return mine

    def _lock(self, name: str) -> Path:
        return self.folder / f"{name}.lock"


@contextlib.contextmanager
def held(path: Path, wait: bool = False) -> Iterator[bool]:
    """Inside, no other process holds the file; gives whether that is so.

    Args:
        path: Of the lock, which is made.
        wait: Whether to wait for another that holds it.

    Raises:
        WriteError: It cannot be made.
    """
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        number = os.open(path, flags, 0o644)
    except OSError as error:
        raise files.write_error(path, error) from error
    try:
        yield _locked(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    finally:
        os.close(number)


def _locked(number: int, how: int) -> bool:
    try:
        fcntl.flock(number, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise
    return True


def close(place: Path) -> None:
    """Say that a piece of work is over, then remove its parts, and what was left a day ago."""
    files.write_text(place / DONE, "")
    for old in place.parent.iterdir():
        with contextlib.suppress(OSError):
            if old != place and time.time() - old.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    for path in place.iterdir():
        if path.name != DONE:
            with contextlib.suppress(OSError):
                path.unlink()


def is_closed(place: Path) -> bool:
    """Whether a piece of work is over."""
    return (place / DONE).is_file()


def reopen(place: Path) -> None:
    """Forget that a piece of work was over, for what came of it is gone."""
    (place / DONE).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder of parts that nobody needs any more."""
    shutil.rmtree(folder, ignore_errors=True)


class _Progress:
    """Tells how far all workers are, every few seconds."""

    def __init__(self, what: str) -> None:
        self.what, self.last = what, time.monotonic()

    def told(self, done: int, of: int | None) -> None:
        now = time.monotonic()
        if self.what and now - self.last >= TOLD:
            self.last = now
            console.say(f"{self.what:<10} {done}{'' if of is None else f' of {of}'} parts are done")
