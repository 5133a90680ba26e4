"""Files fetched from the web: gone on with where they broke off, checked, then put in place."""

import contextlib
import fcntl
import http.client
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tlcli.errors import TlError
from tlcli.system import files

CHUNK = 1 << 18
# Seconds that a server may be silent.
TIMEOUT = 20.0
# How often a connection that broke is made anew within one call, while something still came.
ATTEMPTS = 4
OFFLINE = "TL_OFFLINE"
# What other libraries read for the same.
OTHERS = ("HF_HUB_OFFLINE",)
LOCK = ".fetch.lock"
OFF = ("", "0", "false", "no", "off")


class NotFetched(TlError):  # noqa: N818 - named for what happened
    """A file that could not be fetched; what came of it is kept and gone on with."""


def is_offline() -> bool:
    """Whether nothing may be fetched: `offline=true`, or $TL_OFFLINE."""
    return os.environ.get(OFFLINE, "").lower() not in OFF


@contextlib.contextmanager
def offline(wanted: bool) -> Iterator[None]:
    """Keep this process and those it starts from the network while the block runs."""
    if not wanted:
        yield
        return
    before = {name: os.environ.get(name) for name in (OFFLINE, *OTHERS)}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def reachable(url: str, seconds: float = 4.0) -> bool:
    """Whether a server answers for a file, within some seconds; names are looked up in them too."""
    answers: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, TlError):
            _open(url, {}, seconds, "HEAD").close()
            answers.append(True)

    # A look-up of names cannot be given a time; the thread is left to itself.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answers)


def fetch(
    url: str, target: Path, check: Callable[[Path], None], told: Callable[[int, int], object]
) -> None:
    """Fetch a file; what an earlier call left of it is gone on with.

    Args:
        url: http or https.
        target: Where it goes, once it is whole and checked. What is there is replaced.
        check: Raises TlError for a file that is not the one that is meant; then it is removed.
        told: Called with bytes so far and in all, 0 where the server does not tell.

    Raises:
        NotFetched: No connection, an answer that is no file, or one that broke off for good.
        TlError: What `check` raises, or the disk is full.
    """
    if is_offline():
        raise NotFetched(f"{url}: nothing is fetched, offline=true")
    files.make_folder(target.parent)
    part, before = target.with_name(f".{target.name}.part"), _identity(target)
    with _alone(target.parent):
        if _identity(target) != before and _passes(target, check):
            return  # another process fetched it meanwhile
        with _appended(part) as file:
            begun = file.tell() > 0
            _filled_or_told(url, file, told)
            if begun and not _passes(part, check):
                # What an earlier call left may be of a file that was replaced since.
                file.truncate(0)
                file.seek(0)
                _filled_or_told(url, file, told)
        _require(part, check)
        os.chmod(part, 0o644)
        os.replace(part, target)
        files.sync_folder(target.parent)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One download into a folder at a time, where the file system knows locks."""
    # Not the file itself: HDF5 locks what it opens in the same way.
    with _appended(folder / LOCK) as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _appended(path: Path) -> Iterator[BinaryIO]:
    """A file to append to."""
    try:
        file = path.open("ab")
    except OSError as error:
        raise files.write_error(path, error) from error
    with file:
        yield file


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that takes its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _passes(part: Path, check: Callable[[Path], None]) -> bool:
    try:
        check(part)
    except TlError:
        return False
    return True


def _require(part: Path, check: Callable[[Path], None]) -> None:
    """Remove what is not the file that is meant."""
    try:
        check(part)
    except TlError:
        part.unlink(missing_ok=True)
        raise


def _filled_or_told(url: str, file: BinaryIO, told: Callable[[int, int], object]) -> None:
    """Fetch what is missing.

    Raises:
        NotFetched: It does not come.
    """
    try:
        _fill(url, file, told)
        os.fsync(file.fileno())
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(f"cannot fetch {url} ({_reason(error)})") from error


def _fill(url: str, file: BinaryIO, told: Callable[[int, int], object]) -> None:
    """Append what is missing, over as many connections as bring something."""
    for attempt in range(ATTEMPTS):
        before = file.tell()
        try:
            if _filled(url, file, told):
                return
            reason = f"broke off after {file.tell():,} bytes"
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException) as error:
            if file.tell() == before:
                raise
            reason = _reason(error)
        if file.tell() == before or attempt == ATTEMPTS - 1:
            raise NotFetched(f"cannot fetch {url} ({reason}). What came is kept; try again.")


def _filled(url: str, file: BinaryIO, told: Callable[[int, int], object]) -> bool:
    """Whether one connection brought all that was missing."""
    have = file.tell()
    try:
        answer = _open(url, {"Range": f"bytes={have}-"} if have else {}, TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # There is no more than is here, or what is here is of another file.
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        error.close()
        if whole and int(whole[1]) == have:
            return True
        file.truncate(0)
        file.seek(0)
        answer = _open(url, {}, TIMEOUT)
    with answer:
        # A server that knows no ranges, or answers another, sends everything from the start.
        start = re.match(rf"bytes {have}-", answer.headers.get("Content-Range", ""))
        if answer.status != 206 or not start:
            if answer.status == 206:
                raise NotFetched(f"cannot fetch {url} (an answer to another question)")
            file.truncate(0)
            file.seek(0)
        length = answer.headers.get("Content-Length", "")
        total = file.tell() + int(length) if length.isdecimal() else 0
        if total:
            files.check_room(Path(file.name).parent, total - file.tell(), Path(file.name).name)
        _copy(answer, file, total, told)
    return not total or file.tell() == total


def _copy(answer: Any, file: BinaryIO, total: int, told: Callable[[int, int], object]) -> None:
    while chunk := answer.read(CHUNK):
        try:
            file.write(chunk)
            file.flush()
        except OSError as error:
            raise files.write_error(Path(file.name), error) from error
        told(file.tell(), total)


def _open(url: str, headers: dict[str, str], seconds: float, method: str = "GET") -> Any:
    """An open answer."""
    if not url.startswith(("https://", "http://")):
        raise NotFetched(f"{url}: is no http address")
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - see above
    return urllib.request.urlopen(request, timeout=seconds)  # noqa: S310


def _reason(error: Exception) -> str:
    """Why, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    reason = getattr(error, "reason", None) or error
    return (
        " ".join(str(getattr(reason, "strerror", None) or reason).split()) or type(error).__name__
    )
