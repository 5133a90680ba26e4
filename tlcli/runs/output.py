"""Files that `output=` names: a stranger's file is never overwritten unless that is typed.

What tl wrote is known by the hash of its content, which lies in the cache folder.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tlcli.config.settings import cache_folder
from tlcli.errors import ConfigError, TlError
from tlcli.system import files
from tlcli.system.opened import read_text


def place(given: str, overwrite: bool, where: str = "output") -> Path:
    """The file that is to be written; asked before the work begins, for it may take hours.

    Args:
        given: As typed.
        overwrite: Whether a file of another's may be replaced.
        where: The key that names it.

    Raises:
        ConfigError: There is a file that tl did not write.
    """
    path = files.expanded(given, where)
    if overwrite or not _is_file(path) or _is_ours(path):
        return path
    problem = f"{given} is there, and tl did not write it"
    raise ConfigError(where, problem, "Give another file, or overwrite=true.")


def write(path: Path, content: bytes) -> None:
    """Write an output, and remember that it is ours; one that cannot be remembered is a stranger's.

    Raises:
        WriteError: It cannot be written.
    """
    files.write_bytes(path, content)
    _remember(path, hashlib.sha256(content).hexdigest())


def write_by(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write an output piece by piece, and remember that it is ours.

    Raises:
        WriteError: It cannot be written.
    """
    files.write(path, fill)
    if _is_file(path):
        _remember(path, files.sha256(path))


def _remember(path: Path, digest: str) -> None:
    with contextlib.suppress(TlError):
        note = _note(path)
        files.make_folder(note.parent)
        files.write_text(note, digest)


def _is_file(path: Path) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0


def _is_ours(path: Path) -> bool:
    try:
        return read_text(_note(path), "recipe") == files.sha256(path)
    except (OSError, TlError):
        return False


def _note(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    return cache_folder(None) / "outputs" / name
