"""Every file below a folder: one walker for training, evaluation and prediction."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator

from tlcli.data.stamps import GONE, mark
from tlcli.errors import DataError
from tlcli.system.shown import shown

_NO_IMAGES = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".yaml", ".yml"),
        *(".html", ".htm", ".py", ".ipynb", ".log", ".ini", ".db", ".npy", ".npz", ".h5"),
        *(".hdf5", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".pdf", ".mp4"),
        *(".avi", ".mov", ".mkv", ".mp3", ".wav", ".tfrecord", ".parquet", ".pkl"),
    )
)
_EXAMPLES = 3

Found = tuple[str, int, int]


class LeftOut:
    """What a walk passes by, counted and named."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, why: str, name: str) -> None:
        """Count a file or folder, of which the first few are named."""
        self._counts[why] = self._counts.get(why, 0) + 1
        names = self._names.setdefault(why, [])
        if len(names) < _EXAMPLES:
            names.append(name)

    def count(self, why: str) -> int:
        """How many were left out for a reason."""
        return self._counts.get(why, 0)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def notes(self) -> tuple[str, ...]:
        """A line for each reason, with the first names."""
        return tuple(
            f"{count} file{'s' * (count > 1)} left out: {why} ({self._some(why)})"
            for why, count in sorted(self._counts.items())
        )

    def _some(self, why: str) -> str:
        names = self._names[why]
        more = ", …" if self._counts[why] > len(names) else ""
        return ", ".join(shown(name, 80) for name in names) + more


SYSTEM = "__MACOSX"


def hidden(name: str) -> bool:
    """Whether the system or a program put a file or folder there, not a person."""
    return name.startswith(".") or name == SYSTEM


def walk(root: str, left_out: LeftOut, entered: Callable[[str], object]) -> Iterator[Found]:
    """Path below the root, bytes and mark of each candidate, by folder, by name.

    Links are followed; a folder that was seen before is not looked into again, so that loops end.

    Args:
        root: The folder.
        left_out: Gets what is passed by.
        entered: Is told each folder that is looked into.

    Raises:
        DataError: A folder cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    # Each step is done a million times where there are a million files: few calls of our own.
    while waiting:
        below = waiting.pop()
        folder = os.path.join(root, below)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in visited:
                left_out.add("in folders that were seen before, by a link", below)
                continue
            with os.scandir(folder) as found:
                entries = sorted(found, key=_name)
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise DataError(folder, problem, "Make it readable, or move it away.") from None
        visited.add((status.st_dev, status.st_ino))
        entered(folder)
        folders = []
        for entry in entries:
            own = entry.name
            name = below + own
            if own[0] == "." or own == SYSTEM:
                left_out.add("hidden, or put there by the system", name)
            elif _is_folder(entry):
                folders.append(f"{name}/")
            elif own[own.rfind(".") :].lower() in _NO_IMAGES:
                left_out.add("not pictures by their extension", name)
            else:
                yield name, *_status(entry)
        waiting += reversed(folders)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _name(entry: "os.DirEntry[str]") -> str:
    return entry.name


def _status(entry: "os.DirEntry[str]") -> tuple[int, int]:
    """Bytes and mark of a file; GONE of a broken link and of what is no file."""
    try:
        status = entry.stat()
    except OSError:
        return GONE
    if not stat.S_ISREG(status.st_mode):
        return GONE
    return status.st_size, mark(status)


def writable(found: Iterable[Found], left_out: LeftOut) -> Iterator[Found]:
    """Files whose names can be written down; the others are left out."""
    for one in found:
        if one[0].isascii() or is_utf8(one[0]):
            yield one
        else:
            left_out.add("with a name that is not UTF-8", one[0])


def is_utf8(name: str) -> bool:
    """Whether a name can be written down as text."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
