"""Size, times, inode and device of a file: while they stay, its bytes are taken to stay."""

import os
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tlcli.lazy import np
from tlcli.system.remote_files import is_mine

GONE = (-1, 0)


def mark(status: os.stat_result) -> int:
    """Times, inode and device of a file as one number, int64.

    Of one that stands for an object of a store the version of that: it may be fetched again.
    """
    if is_mine(status):
        return hash((status.st_mtime_ns,))
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
    found = array("q")
    for path in paths:
        found.extend(stamp(path))
    return np.frombuffer(found, np.int64).reshape(-1, 2)
