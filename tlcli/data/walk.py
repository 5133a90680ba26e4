"""Every file below a folder."""

import os
from collections import Counter
from collections.abc import Iterator

from tlcli.data.content import GONE, mark

_NO_IMAGES = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".xml", ".yaml", ".yml"),
        *(".html", ".htm", ".py", ".ipynb", ".log", ".ini", ".db", ".npy", ".npz", ".h5"),
        *(".hdf5", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".pdf", ".mp4"),
        *(".avi", ".mov", ".mkv", ".mp3", ".wav", ".tfrecord", ".parquet", ".pkl"),
    )
)


Found = tuple[str, int, int]


def hidden(name: str) -> bool:
    """Whether a file or folder is left out without a word: the system put it there."""
    return name.startswith(".") or name == "__MACOSX"


def walk(root: str, ignored: Counter[str], folders: list[str]) -> Iterator[Found]:
    """Path below the root, bytes and mark of each candidate; links are followed.

    Args:
        root: The folder.
        ignored: Gets why files are left out, and how many.
        folders: Gets every folder that is looked into.
    """
    stack, visited = [""], set()
    while stack:
        below = stack.pop()
        folder = os.path.join(root, below)
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            ignored["in folders that were seen before, by a link"] += 1
            continue
        visited.add((status.st_dev, status.st_ino))
        folders.append(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if hidden(entry.name):
                    continue
                name = f"{below}{entry.name}"
                if entry.is_dir():
                    stack.append(f"{name}/")
                elif entry.name[entry.name.rfind(".") :].lower() in _NO_IMAGES:
                    ignored["not pictures by their extension"] += 1
                elif not _is_utf8(name):
                    ignored["with a name that is not UTF-8"] += 1
                else:
                    yield name, *_status(entry)


def _status(entry: "os.DirEntry[str]") -> tuple[int, int]:
    """Bytes and mark of a file; GONE of a broken link."""
    try:
        status = entry.stat()
    except OSError:
        return GONE
    return status.st_size, mark(status)


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
