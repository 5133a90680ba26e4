"""Files that come from outside: opened without hanging, of a bounded size, faults told in one line.

Whatever bytes of a stranger's file can raise becomes one DataError with the file: a list of the
exceptions that readers are known to raise always lacks the next one.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tlcli.errors import DataError, TlError
from tlcli.system.remote_cache import current
from tlcli.system.remote_files import is_hole, is_mine

Status = os.stat_result

MB = 1 << 20
# Most bytes of a file by what it is; larger ones are refused before anything is read.
MOST_BYTES = {
    "recipe": 65536,
    "json": 64 * MB,
    "csv": 4096 * MB,
    "state": 64 * 1024 * MB,
    "weights": 64 * 1024 * MB,
    "arrays": 1 << 50,
    "shard": 1 << 50,
    "picture": 1024 * MB,
}
REMEDY = "Give another file, or mend this one."


def open_regular(path: Path | str, kind: str) -> BinaryIO:
    """A regular file, opened for reading; never a pipe, a device or a folder.

    Args:
        path: Where it is.
        kind: What it is, a key of MOST_BYTES.

    Raises:
        DataError: It is missing, no regular file, too large, or cannot be opened.
    """
    place = os.fsdecode(path)
    number = _number(place)
    try:
        _checked(place, number, kind, os.fstat(number))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def _number(place: str) -> int:
    """Descriptor of whatever is there, open for reading.

    Raises:
        DataError: It is missing, or cannot be opened.
    """
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would wait for ever.
        return os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DataError(place, "is missing", "Restore it, or give another.") from None
    except (OSError, ValueError) as error:
        raise DataError(place, f"cannot be opened ({reason(error)})", REMEDY) from None


def _checked(place: str, number: int, kind: str, facts: Status) -> Status:
    """Status of an open file, which is regular and not too large; that of an object was fetched.

    Raises:
        DataError: See `open_regular`.
    """
    if is_mine(facts) and current().holds(place):
        with reading(place):
            facts = current().ready(place, number, facts)
    if not stat.S_ISREG(facts.st_mode):
        raise DataError(place, f"is {named(facts.st_mode)}, no file", REMEDY)
    if facts.st_size > MOST_BYTES[kind]:
        problem = f"has {facts.st_size:,} bytes, {MOST_BYTES[kind]:,} are the most for {kind}"
        raise DataError(place, problem, REMEDY)
    return facts


def read_part(path: Path | str, kind: str, start: int, length: int) -> tuple[bytes, Status]:
    """Some bytes of a regular file, fewer where it ends before; and its status at that time.

    Raises:
        DataError: See `open_regular`; or it cannot be read.
    """
    place = os.fsdecode(path)
    number = _number(place)
    try:
        status = os.fstat(number)
        if is_hole(status) and current().holds(place):
            data = current().part(place, status, start, start + length)
            if data is not None:
                return data, status
        status = _checked(place, number, kind, status)
        with reading(place):
            return _part(number, start, length), status
    finally:
        os.close(number)


def _part(number: int, start: int, length: int) -> bytes:
    """Bytes of an open file, fewer where it ends before."""
    data = os.pread(number, length, start)
    # A call gives 2 GiB at most.
    while 0 < len(data) < length and (more := os.pread(number, length - len(data),
                                                       start + len(data))):  # fmt: skip
        data += more
    return data


def read_bytes(path: Path | str, kind: str) -> bytes:
    """All bytes of a regular file.

    Raises:
        DataError: See `open_regular`; or it cannot be read.
    """
    with open_regular(path, kind) as file, reading(path):
        return file.read(MOST_BYTES[kind] + 1)


def read_text(path: Path | str, kind: str) -> str:
    """A regular file as UTF-8 text, a byte-order mark taken off.

    Raises:
        DataError: See `open_regular`; or it is no UTF-8.
    """
    try:
        return read_bytes(path, kind).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(str(path), "is not UTF-8 text", "Save it as UTF-8.") from None


@contextlib.contextmanager
def reading(
    path: Path | str, remedy: str = REMEDY, problem: str = "cannot be read"
) -> Iterator[None]:
    """A border: what the bytes of a file raise inside is told with the file.

    Args:
        path: The file that is read.
        remedy: What to do, a sentence.
        problem: What is wrong with a file that raises anything.

    Raises:
        DataError: Anything was raised but an error of ours or a wish to stop.
    """
    try:
        yield
    except TlError:
        raise
    except MemoryError:
        raise DataError(str(path), "asks for more memory than there is", remedy) from None
    except RecursionError:
        raise DataError(str(path), "is nested too deep", remedy) from None
    except Exception as error:
        raise DataError(str(path), f"{problem} ({reason(error)})", remedy) from error


def reason(error: BaseException) -> str:
    """What an exception says, short and in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Where an object lies in memory says nothing, and is another each time.
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", " ".join(str(error).split()))
    return (text[:160] + "…" if len(text) > 160 else text) or type(error).__name__


def named(mode: int) -> str:
    """What kind of file a mode tells of, in words."""
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "something else")
