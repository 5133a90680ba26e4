"""Files that appear whole or not at all, and patience with a disk that is full."""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tlcli.errors import ConfigError, TlError
from tlcli.system.opened import open_regular
from tlcli.system.remote import is_address

log = logging.getLogger(__name__)

Value = TypeVar("Value")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MARK = ".unfinished"
# Room that outputs which can be computed again leave to other programs.
SPARE_BYTES = 256 << 20


class NoRoom(TlError):  # noqa: N818 - named after what is missing
    """A disk that is too small for what is to be written."""


class WriteError(TlError):
    """A file that cannot be written now, and perhaps later; what was there before stays."""


def write(path: Path, fill: Callable[[BinaryIO], None], size: int | None = None) -> None:
    """Write through a temporary file that is flushed to the disk, then renamed.

    What is no regular file, as a device or a pipe, is written through and stays what it is; so
    does a link, whose target is replaced.

    Args:
        path: The file.
        fill: Writes the content.
        size: Bytes that the content has, if known, to say how many are missing on a full disk.

    Raises:
        WriteError: The disk is full or the folder cannot be written; what was there before stays.
    """
    try:
        if _is_special(path):
            _write_through(path, fill)
            return
        if path.is_symlink():
            path = Path(os.path.realpath(path))
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=MARK)
        try:
            with os.fdopen(descriptor, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)  # gone already when all went well
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error, size) from error


def _is_special(path: Path) -> bool:
    """Whether something is there that a rename would destroy."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    system = path.parts[1:2] in (("dev",), ("proc",))
    return not stat.S_ISREG(mode) or (system and path.is_symlink())


def _write_through(path: Path, fill: Callable[[BinaryIO], None]) -> None:
    # Without O_NONBLOCK a pipe that nobody reads would wait for ever.
    number = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(number, True)
    with os.fdopen(number, "wb") as file:
        if stat.S_ISREG(os.fstat(number).st_mode):
            file.truncate(0)
        fill(file)


def expanded(given: str | Path, where: str) -> Path:
    """A path as a person writes it, `~` and `~name` being home folders.

    Args:
        given: As typed.
        where: Dotted place in the configuration, for messages.

    Raises:
        ConfigError: There is no such home folder, or it is no path but an address.
    """
    if is_address(str(given)):
        raise ConfigError(where, "an address cannot stand here", "Give a path on this machine.")
    try:
        if "\0" in str(given):
            raise ValueError
        # Of a Path the ./ is gone that says that ~x is no home folder.
        return Path(given).expanduser() if str(given).startswith("~") else Path(given)
    except (RuntimeError, ValueError):
        raise ConfigError(where, f"got {str(given)!r}", "Give a path that can exist.") from None


def write_error(path: Path, error: OSError, size: int | None = None) -> WriteError:
    """The one line for a file that could not be written."""
    reason = error.strerror or str(error)
    if error.errno in FULL:
        free = free_bytes(path.parent)
        if size is None:
            reason += f": {free:,} bytes are free"
        else:
            lack = "a quota or a limit is smaller"
            if size > free:
                lack = f"{size - free:,} are missing"
            reason += f": {size:,} bytes are needed, {free:,} are free, {lack}"
    return WriteError(f"{path}: cannot be written ({reason}). What was saved before is whole.")


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write to the disk of a folder."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(
    folder: Path, size: int, what: str, where: str | None = None, remedy: str = ""
) -> None:
    """Refuse to begin what the disk cannot hold beside some room to spare.

    Args:
        folder: Where it is to be written; it need not exist.
        size: Bytes.
        what: Its name in the message, after the number of bytes.
        where: Dotted place in the configuration that asks for it.
        remedy: What to do instead, a sentence.

    Raises:
        NoRoom: The disk is too small.
    """
    free = free_bytes(folder)
    if size + SPARE_BYTES > free:
        raise NoRoom(
            f"{f'{where}: ' if where else ''}{megabytes(size)} of {what} do not fit in {folder}, "
            f"which has {megabytes(free)} free ({megabytes(SPARE_BYTES)} are spared)"
            + (f". {remedy}" if remedy else "")
        )


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"


def patiently(
    action: Callable[[], Value], seconds: float, stopped: Callable[[], object] = lambda: False
) -> Value:
    """What an action that writes gives, tried again while the disk is full or read-only.

    Args:
        action: Raises WriteError when it cannot write.
        seconds: How long it is tried again; 0 tries once.
        stopped: Whether a person asked to end the waiting.

    Raises:
        WriteError: It never worked.
    """
    end, pause, told = time.monotonic() + seconds, 0.25, False
    while True:
        try:
            found = action()
        except WriteError as error:
            left = end - time.monotonic()
            if left <= 0 or stopped():
                raise
            if not told:
                log.info("%s Waiting for room, up to %.0f s; nothing is lost.", error, seconds)
                told = True
            time.sleep(min(pause, left))
            pause = min(2 * pause, 5.0)
        else:
            if told:
                log.info("written; going on")
            return found


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        WriteError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error


def remove_torn(folder: Path) -> None:
    """Remove what writes that were killed left in a folder."""
    for path in folder.glob(f".*{MARK}"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write bytes."""
    write(path, lambda file: void(file.write(content)), len(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON that a person can read, and every program: it never holds NaN.

    Raises:
        ValueError: A number is not finite.
        WriteError: It cannot be written.
    """
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """The text of a JSON file.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, default=plain, allow_nan=False)
    return text + "\n"


def finite(content: Any) -> Any:
    """The same with None for each number that is not finite."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def plain(value: Any) -> Any:
    """What JSON lacks: numpy numbers and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def nothing() -> None:
    """Do nothing."""


def void(_: Any) -> None:
    """Drop a result."""


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hash of a file's content, hex.

    Raises:
        DataError: It is missing, no regular file, or cannot be opened.
    """
    digest = hashlib.sha256()
    with open_regular(path, "shard") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
