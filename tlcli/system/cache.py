"""Files of the cache folder: they can be made again, so a disk that takes none ends nothing."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tlcli.errors import DataError
from tlcli.system import opened
from tlcli.system.files import expanded

T = TypeVar("T")

log = logging.getLogger(__name__)


def cache_folder(given: str | None) -> Path:
    """The folder for caches: as given, else the user's own."""
    if given:
        return expanded(given, "cache_dir")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(base, "cache_dir") / "tl"


def write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Write what can be made again, whole or not at all; where that fails it is done without.

    Args:
        path: The file, in the cache folder.
        fill: Writes the content.
    """
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            fill(file)
        os.replace(temporary, path)
    # A full disk fails again, and in other ways, where a half written archive is closed.
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        done_without(path.parent, error)


def read(
    path: Path, load: Callable[[Path], T], rises: tuple[type[Exception], ...] = ()
) -> T | None:
    """What a file of the cache holds; None where there is none, or one that cannot be used.

    What cannot be used is told, once a process, and made anew by whoever asked.

    Args:
        path: The file.
        load: Reads it, and may raise whatever damaged bytes can.
        rises: What it raises that is the caller's to answer.
    """
    if not os.path.lexists(path):
        return None
    try:
        return load(path)
    except rises:
        raise
    # A border: what damaged bytes raise cannot be listed.
    except Exception as error:
        if str(path) not in _told:
            _told.add(str(path))
            why = error.problem if isinstance(error, DataError) else opened.reason(error)
            log.warning("cache: %s cannot be used (%s); it is made anew", path, why)
        return None


_told: set[str] = set()


def done_without(folder: Path, error: BaseException) -> None:
    """Say, once a process, that a cache folder cannot be written and the work goes on.

    Args:
        folder: The cache folder.
        error: What writing raised.
    """
    if str(folder) not in _told:
        _told.add(str(folder))
        reason = getattr(error, "strerror", None) or error
        log.warning("cache: %s cannot be written (%s); it is done without", folder, reason)
