"""Objects of a store that is reached by an address: told apart by version, read in ranges.

Everything goes through fsspec, by the credentials that its libraries find by themselves. What fails
for a moment is tried again after growing pauses; what an object is, is its ETag or what the store
has instead.
"""

import hashlib
import importlib
import logging
import os
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from tlcli.errors import ConfigError, DataError, TlError
from tlcli.system.shown import shown

log = logging.getLogger(__name__)

Value = TypeVar("Value")
SCHEMES = ("s3", "gs", "hf", "https", "http")
_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://")
# How often a request is made before it is given up, and seconds before the second.
ATTEMPTS, PAUSE, LONGEST_PAUSE = 6, 0.2, 8.0
# Bytes of one request; a larger object is read in several at a time.
CHUNK, AT_A_TIME = 16 << 20, 8
# Parts that are in memory at a time, of all objects.
_PARTS = threading.BoundedSemaphore(2 * AT_A_TIME)
# Seconds without an answer.
PATIENCE = 20
# What tells one version of an object from another, the surest first.
_VERSIONS = ("ETag", "etag", "generation", "blob_id", "md5Hash", "Content-MD5")
_TIMES = ("LastModified", "Last-Modified", "mtime", "updated", "last_commit")
DENIED = "may not be read"
GONE = "is not there any more"


class StoreError(TlError):
    """A store that does not answer: no fault of the object, which is not left out for it."""


@dataclass(frozen=True)
class Object:
    """An object as it is listed.

    Attributes:
        address: The whole of it, as s3://bucket/photos/cat/0.jpg.
        size: Bytes.
        version: What tells it from another of the same name.
    """

    address: str
    size: int
    version: str


class Retries:
    """How often requests were made again, by what failed; for all threads."""

    def __init__(self) -> None:
        self._lock, self.counts = threading.Lock(), dict[str, int]()

    def add(self, why: str) -> None:
        """Count one, and say so the first time and then ever more rarely."""
        with self._lock:
            self.counts[why] = count = self.counts.get(why, 0) + 1
        if count & (count - 1) == 0:
            log.info("remote: %d requests were made again (%s)", count, why)

    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


RETRIES = Retries()


def is_address(given: str) -> bool:
    """Whether a text is the address of something in a store."""
    return _ADDRESS.match(given) is not None


def check(given: str, where: str) -> None:
    """Refuse an address that holds a secret, which would be written wherever the address is.

    Args:
        given: Any path or address.
        where: Dotted place in the configuration, for messages.

    Raises:
        ConfigError: It holds one.
    """
    if not is_address(given):
        return
    scheme, rest = given.split("://", 1)
    host = rest.split("/", 1)[0]
    if "@" in host or "?" in rest or "#" in rest:
        what = "a user or password" if "@" in host else "a query, which may hold a key"
        raise ConfigError(
            where, f"the address {scheme}://… holds {what}",
            "Leave it out: credentials are taken from the environment or the library's own files.",
        )  # fmt: skip


def file_system(scheme: str) -> Any:
    """Fsspec's access to one kind of store.

    Raises:
        ConfigError: What it needs is not installed.
    """
    options: dict[str, Any] = {}
    if scheme == "s3":
        # Bounded waits; trying again is done here.
        options = {"config_kwargs": {"connect_timeout": PATIENCE, "read_timeout": PATIENCE,
                                     "retries": {"max_attempts": 1}}}  # fmt: skip
    try:
        if scheme in ("http", "https"):
            timeout = importlib.import_module("aiohttp").ClientTimeout(
                total=None, sock_connect=PATIENCE, sock_read=PATIENCE
            )
            options = {"client_kwargs": {"timeout": timeout}}
        found = importlib.import_module("fsspec").filesystem(
            scheme, use_listings_cache=False, **options
        )
    except ImportError as error:
        problem = f"{scheme}:// needs {error.name or 'a package'}, which is not installed"
        raise ConfigError("data", problem, "Install it: pip install 'tlcli[remote]'.") from None
    if scheme == "s3":
        found.retries = 1
    return found


def patiently(address: str, action: Callable[[], Value], denied: str = DENIED) -> Value:
    """What a request gives, made again after growing pauses where it fails.

    Args:
        address: What it is about, for messages.
        action: Makes it.
        denied: What is told where it is not allowed.

    Raises:
        DataError: There is no such object, or it is not allowed.
        StoreError: It never succeeded.
    """
    pause = PAUSE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except TlError:
            raise
        # A border: what libraries raise for a store that fails cannot be listed.
        except Exception as error:
            if (final := _final(address, error, attempt, denied)) is not None:
                raise final from None
            RETRIES.add(type(error).__name__)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE)
    raise AssertionError


def _final(address: str, error: Exception, attempt: int, denied: str) -> TlError | None:
    """What is told of a failure that trying again will not mend; None of another."""
    if isinstance(error, FileNotFoundError):
        return DataError(shown(address), GONE, "Restore it, or list anew.")
    refused = isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403)
    if refused or type(error).__name__ in ("NoCredentialsError", "RefreshError"):
        remedy = "Give credentials as the store's own tools take them, or ask for access."
        return DataError(shown(address), f"{denied} ({_reason(error)})", remedy)
    if attempt < ATTEMPTS:
        return None
    return StoreError(
        f"{shown(address)}: cannot be reached ({_reason(error)}), tried {ATTEMPTS} times. "
        "Check the connection and the address, and run it again."
    )


def _reason(error: BaseException) -> str:
    text = re.sub(r"\S+://\S+", "…", " ".join(str(error).split()))[:120]
    return text or type(error).__name__


def described(address: str, info: dict[str, Any]) -> Object:
    """What a listing says of an object.

    Raises:
        DataError: It does not say how large it is.
    """
    size = info.get("size")
    if not isinstance(size, int):
        raise DataError(shown(address), "has no size in its listing", "Serve it as a plain file.")
    return Object(address, size, version_of(info))


def version_of(info: dict[str, Any]) -> str:
    """What tells the version of an object that an answer describes."""
    for name in _VERSIONS:
        if info.get(name):
            return str(info[name]).strip('W/"')
    return " ".join(str(info[name]) for name in _TIMES if info.get(name))


def info_of(address: str) -> Object:
    """An object as it is now.

    Raises:
        DataError: It is gone, or may not be read.
        StoreError: The store does not answer.
    """
    fs = file_system(address.split("://", 1)[0])
    path = fs._strip_protocol(address)
    options = {"refresh": True} if address.startswith("s3://") else {}
    return described(address, patiently(address, lambda: dict(fs.info(path, **options))))


def read_range(address: str, start: int, stop: int) -> bytes:
    """Some bytes of an object.

    Raises:
        DataError: It is gone, or may not be read.
        StoreError: The store does not answer, or not with these bytes.
    """
    if start == stop:
        return b""
    fs = file_system(address.split("://", 1)[0])
    path = fs._strip_protocol(address)

    def ask() -> bytes:
        data = bytes(fs.cat_file(path, start=start, end=stop))
        if len(data) != stop - start:
            raise OSError(f"an answer of {len(data):,} bytes where {stop - start:,} were asked for")
        return data

    return patiently(address, ask)


def fetch(one: Object, number: int) -> bytes | None:
    """Write an object into an open file, in ranges side by side.

    Args:
        one: The object.
        number: Descriptor of an empty file.

    Returns:
        MD5 of an object of one range, None of a larger one.
    """
    starts = range(0, one.size, CHUNK)
    if len(starts) <= 1:
        data = read_range(one.address, 0, one.size)
        os.pwrite(number, data, 0)
        return hashlib.md5(data, usedforsecurity=False).digest()

    def part(start: int) -> None:
        with _PARTS:
            data = read_range(one.address, start, min(start + CHUNK, one.size))
            os.pwrite(number, data, start)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(part, starts))
    return None
