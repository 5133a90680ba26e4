"""Objects that are written to a store: put whole, and asked for again to see that they arrived."""

import base64
import contextlib
import hashlib
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tlcli.errors import ConfigError, DataError
from tlcli.system import remote
from tlcli.system.opened import open_regular
from tlcli.system.remote import GONE, Object, file_system, patiently
from tlcli.system.shown import shown

Value = TypeVar("Value")
WRITABLE = ("s3", "gs")
DENIED = "may not be written"
# Bytes of one part of a large object, which is sent in several; a smaller one is sent at once.
PART, MOST_PARTS = 32 << 20, 10_000
# One large object at a time, for its parts are in memory.
_LARGE = threading.Lock()


def check_writable(given: str, where: str) -> None:
    """Refuse an address that nothing can be written to.

    Args:
        given: An address.
        where: Dotted place in the configuration, for messages.

    Raises:
        ConfigError: It holds a secret, or is of a kind that is only read.
    """
    remote.check(given, where)
    scheme, rest = given.split("://", 1)
    if scheme not in WRITABLE:
        problem = f"nothing can be written to {scheme}://"
        raise ConfigError(where, problem, "Give a path, or an address of s3:// or gs://.")
    if not rest.strip("/").partition("/")[2]:
        problem = f"{shown(given)} is a whole bucket"
        raise ConfigError(where, problem, f"Give a name in it: {scheme}://BUCKET/NAME.")


def put(path: Path, address: str) -> tuple[os.stat_result, Object]:
    """Send a file, and see that it arrived.

    A small file is sent as it was at one moment, for others may write to it meanwhile.

    Returns:
        The file's status when it was read, and the object.

    Raises:
        DataError: There is no such bucket, or it may not be written.
        StoreError: The store does not answer, or what is there is not what was sent.
    """
    fs = file_system(address.split("://", 1)[0])
    place = fs._strip_protocol(address)
    with open_regular(path, "weights") as file:
        status = os.fstat(file.fileno())
        data = file.read() if status.st_size < PART else None

    def send() -> Object:
        if data is not None:
            fs.pipe_file(place, data)
        else:
            with _LARGE:
                fs.put_file(str(path), place, chunksize=_part(status.st_size))
        info = _info(fs, place)
        size = status.st_size if data is None else len(data)
        if info.get("size") != size or not _same(path, data, address, info):
            raise OSError("what is there is not what was sent")
        return remote.described(address, info)

    return status, _written(address, send)


def create(address: str, content: bytes) -> bool:
    """Make a small object that is not there yet; whether it is ours.

    The store is asked to refuse where there is one; of one that does not heed that, what is there
    afterwards decides.

    Raises:
        DataError: There is no such bucket, or it may not be written.
        StoreError: The store does not answer.
    """
    found = content_of(address)
    if found is not None:
        return found == content
    fs = file_system(address.split("://", 1)[0])

    def send() -> None:
        with contextlib.suppress(FileExistsError):
            fs.pipe_file(fs._strip_protocol(address), content, mode="create")

    _written(address, send)
    return content_of(address) == content


def replace(address: str, content: bytes) -> None:
    """Write a small object, whatever is there.

    Raises:
        DataError: There is no such bucket, or it may not be written.
        StoreError: The store does not answer.
    """
    fs = file_system(address.split("://", 1)[0])
    _written(address, lambda: fs.pipe_file(fs._strip_protocol(address), content))


def remove(address: str) -> None:
    """Take an object away; one that is not there is none.

    Raises:
        DataError: It may not be removed.
        StoreError: The store does not answer.
    """
    fs = file_system(address.split("://", 1)[0])

    def ask() -> None:
        with contextlib.suppress(FileNotFoundError):
            fs.rm_file(fs._strip_protocol(address))

    _written(address, ask)


def content_of(address: str) -> bytes | None:
    """A small object as it is now; None where there is none.

    Raises:
        DataError: It may not be read.
        StoreError: The store does not answer.
    """
    fs = file_system(address.split("://", 1)[0])

    def ask() -> bytes | None:
        try:
            return bytes(fs.cat_file(fs._strip_protocol(address)))
        except FileNotFoundError:
            return None

    return patiently(address, ask)


def age(address: str) -> float:
    """Seconds since an object was written, by the clocks of the store and of this machine.

    Raises:
        DataError: It is gone, or may not be read.
        StoreError: The store does not answer.
    """
    fs = file_system(address.split("://", 1)[0])
    since: datetime = patiently(address, lambda: fs.modified(fs._strip_protocol(address)))
    return (datetime.now(since.tzinfo) - since).total_seconds()


def _info(fs: Any, place: str) -> dict[str, Any]:
    fresh = {"refresh": True} if "s3" in fs.protocol else {}
    return dict(fs.info(place, **fresh))


def _written(address: str, action: Callable[[], Value]) -> Value:
    """What a request that writes gives; see `patiently`."""
    try:
        return patiently(address, action, DENIED)
    except DataError as error:
        if error.problem != GONE:
            raise
        bucket = "/".join(address.split("/")[:3])
        remedy = "Make it, or give another address."
        raise DataError(shown(address), f"there is no {shown(bucket)}", remedy) from None


def matches(path: Path, one: Object) -> bool:
    """Whether an object is what a file holds now.

    Raises:
        DataError: It is gone, or may not be read.
        StoreError: The store does not answer.
    """
    if not path.is_file() or path.stat().st_size != one.size:
        return False
    fs = file_system(one.address.split("://", 1)[0])
    info = patiently(one.address, lambda: _info(fs, fs._strip_protocol(one.address)))
    return info.get("size") == one.size and _same(path, None, one.address, info)


def _same(path: Path, data: bytes | None, address: str, info: dict[str, Any]) -> bool:
    """Whether an object holds a file's bytes, by the sum that the store tells of it.

    Where the store tells none, or one of another kind as of encrypted objects, all is read again.
    """
    told = info.get("md5Hash")
    if told is not None:
        return bool(base64.b64encode(_md5(path, data)).decode() == told)
    if str(info.get("ETag", "")).strip('"') == _etag(path, data):
        return True
    size, chunk = int(info["size"]), remote.CHUNK
    with open_regular(path, "weights") as file:
        for start in range(0, size, chunk):
            stop = min(start + chunk, size)
            mine = file.read(stop - start) if data is None else data[start:stop]
            if remote.read_range(address, start, stop) != mine:
                return False
    return True


def _md5(path: Path, data: bytes | None) -> bytes:
    digest = hashlib.md5(data or b"", usedforsecurity=False)
    if data is None:
        with open_regular(path, "weights") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.digest()


def _etag(path: Path, data: bytes | None) -> str:
    """What S3 calls an object of a file's bytes, as `put` sends it."""
    size = path.stat().st_size if data is None else len(data)
    part = _part(size)
    if size < 2 * part:
        return _md5(path, data).hex()
    digests = []
    with open_regular(path, "weights") as file:
        while block := file.read(part):
            digests.append(hashlib.md5(block, usedforsecurity=False).digest())
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(digests)}"


def _part(size: int) -> int:
    """Bytes of a part of an object of some bytes."""
    return max(PART, -(-size // MOST_PARTS) + (1 << 20) - 1 >> 20 << 20)
