"""Files of the cache folder: they can be made again, so a disk that takes none ends nothing."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

log = logging.getLogger(__name__)


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
