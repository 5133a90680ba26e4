"""Files that stand for objects of a store: holes until their bytes are there, whole at once."""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlError
from tlcli.system.remote import StoreError

# They have the sticky bit; a hole cannot be read by others, what is there can.
_MINE, _THERE = stat.S_ISVTX, stat.S_IROTH
HOLE_MODE, FULL_MODE = _MINE | 0o600, _MINE | 0o644
# The attribute that holds the sum of what was fetched.
SUM = "user.tl.blake2b"
_LOCKS = 256


def is_mine(status: os.stat_result) -> bool:
    """Whether a file stands for an object."""
    return bool(status.st_mode & _MINE) and stat.S_ISREG(status.st_mode)


def is_hole(status: os.stat_result) -> bool:
    """Whether a file stands for an object whose bytes are not there."""
    return is_mine(status) and not status.st_mode & _THERE


def time_of(version: str, size: int) -> int:
    """A time between 2001 and 2033, ns, that stands for a version."""
    digest = hashlib.blake2b(f"{version}\0{size}".encode(), digest_size=8).digest()
    return 10**18 + int.from_bytes(digest, "big") % 10**18


def beside(path: Path) -> Path:
    """A hidden name of this process and thread in the folder of a file."""
    return path.with_name(f".{os.getpid()}.{threading.get_ident()}.unfinished")


def finish(temporary: Path, path: Path, mode: int, time_ns: int) -> None:
    """Let a file take the place of another, with its mode and the time of its version."""
    os.chmod(temporary, mode)
    os.utime(temporary, ns=(time.time_ns(), time_ns))
    os.replace(temporary, path)


def checksum(path: str | Path) -> bytes:
    """Hash of a file's bytes."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


@contextlib.contextmanager
def told(root: Path) -> Iterator[None]:
    """What the disk raises, told with what to do.

    Raises:
        StoreError: The cache cannot be written.
    """
    try:
        yield
    except TlError:
        raise
    except OSError as error:
        small = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "Give a smaller remote_cache=SIZE" if small else "Make it writable"
        why = error.strerror or error
        raise StoreError(
            f"{root}: the cache of remote data cannot be written ({why}). {remedy}, or another "
            "folder: cache_dir=PATH."
        ) from None


def stand(path: Path, size: int, time_ns: int) -> None:
    """Let a hole stand for an object.

    Args:
        path: The file; what is there is replaced, and stays with whoever has it open.
        size: Bytes of the object.
        time_ns: What stands for its version.
    """
    temporary = beside(path)
    with open(temporary, "wb") as file:
        file.truncate(size)
    finish(temporary, path, HOLE_MODE, time_ns)


@contextlib.contextmanager
def alone(root: Path, key: str) -> Iterator[None]:
    """One process and thread at a time for a key, where the file system knows locks.

    Args:
        root: Of the cache.
        key: A path or an address; "" for the whole.
    """
    folder = root / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    number = zlib.crc32(key.encode("utf-8", "surrogateescape")) % _LOCKS
    with open(folder / (f"{number:03d}" if key else "all"), "ab") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
