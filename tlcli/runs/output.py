"""Files and folders that `output=` names: a stranger's file is overwritten only if that is typed.

What tl wrote is known by the hash of its content, which lies in the cache folder. What an address
names is made in a local folder and sent when it is whole.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.config.settings import cache_folder
from tlcli.errors import ConfigError, TlError
from tlcli.runs import remote_file, remote_folder
from tlcli.system import files
from tlcli.system.opened import read_text
from tlcli.system.remote import is_address
from tlcli.system.remote_cache import current
from tlcli.system.standing import addressed


def place(given: str, overwrite: bool, where: str = "output", mine: bool = True) -> Path:
    """The file that is to be written; asked before the work begins, for it may take hours.

    Args:
        given: As typed.
        overwrite: Whether a file of another's may be replaced.
        where: The key that names it.
        mine: Whether this process is the one of several that writes it.

    Raises:
        ConfigError: There is a file that tl did not write, or nothing can be written there.
    """
    address = destination(given)
    if is_address(address):
        return remote_file.file(address, overwrite, where, mine)
    path = files.expanded(given, where)
    if overwrite or not _is_file(path) or _is_ours(path):
        return path
    problem = f"{given} is there, and tl did not write it"
    raise ConfigError(where, problem, "Give another file, or overwrite=true.")


@contextlib.contextmanager
def folder(
    given: str, where: str = "output", holds: Iterable[str] = (), mine: bool = True,
    base: Path | None = None,
) -> Iterator[Path]:  # fmt: skip
    """The folder that is to be written; at an address all is there when the work in it is done.

    Args:
        given: As typed.
        where: The key that names it.
        holds: Names of which one must be at an address, if anything is.
        mine: Whether this process is the one of several that sends.
        base: A folder that all of them see, or None.

    Raises:
        ConfigError: At an address is something else, or another process writes there.
        StoreError: It does not answer; where the local copy is, it says.
    """
    address = destination(given)
    if not is_address(address):
        yield files.expanded(given, where)
        return
    with remote_folder.folder(address, where, holds, mine, base) as found:
        yield found.path


def destination(given: str) -> str:
    """Where something goes: beside what was read from an address means there."""
    return given if current().address(given) is None else addressed(given)


def lies_in(folder: Path, root: str) -> bool:
    """Whether a folder that is to be written lies in that of the data on this machine."""
    if is_address(root):
        return False
    place = files.expanded(root, "output").resolve()
    return place.is_dir() and folder.resolve().is_relative_to(place)


def check_apart(given: str, data: Mapping[str, Any]) -> None:
    """Refuse an address within that of the data, before anything is there that would be data.

    Args:
        given: The output, as typed.
        data: Values of the group data.

    Raises:
        ConfigError: It lies there.
    """
    root = data.get("path")
    if isinstance(root, str) and is_address(root) and given.startswith(f"{root.rstrip('/')}/"):
        problem = f"{given} lies in the data, which is only read"
        raise ConfigError("output", problem, "Give an address beside it.")


def write(path: Path, content: bytes) -> None:
    """Write an output, and remember that it is ours; one that cannot be remembered is a stranger's.

    Raises:
        WriteError: It cannot be written.
        StoreError: It cannot be sent; where the local copy is, it says.
    """
    files.write_bytes(path, content)
    _remember(path, hashlib.sha256(content).hexdigest())
    remote_file.arrived(path)


def write_by(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    """Write an output piece by piece, and remember that it is ours.

    Raises:
        WriteError: It cannot be written.
        StoreError: It cannot be sent; where the local copy is, it says.
    """
    files.write(path, fill)
    if _is_file(path):
        _remember(path, files.sha256(path))
    remote_file.arrived(path)


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
