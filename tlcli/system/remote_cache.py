"""A local folder that stands for one in a store: every object a file, its bytes there once needed.

Each file has the size of its object, and in its time of change the object's version; until its
bytes are asked for it is a hole. So whatever reads folders reads a store, too. What was fetched
stays, up to a size for all; what was not used for longest becomes a hole again. All processes of a
machine share the folder: files appear whole by a rename, and one process fetches each.
"""

import contextlib
import os
import re
import stat
import threading
import time
from pathlib import Path

from tlcli.errors import ConfigError, DataError, require
from tlcli.system import remote
from tlcli.system.remote import Object
from tlcli.system.remote_files import (
    FULL_MODE,
    SUM,
    alone,
    beside,
    checksum,
    finish,
    is_hole,
    is_mine,
    stand,
    time_of,
    told,
)
from tlcli.system.remote_listing import listed
from tlcli.system.remote_room import Room
from tlcli.system.shown import shown
from tlcli.system.standing import stands

DEFAULT = "50GB"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(MB|GB|TB)")
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
# A listing serves for so many seconds; a use is noted at most so often.
_FRESH, _NOTED = 10.0, 60.0
_PATTERN = re.compile(r"[*?\[{]")
_ANEW = "It was changed since it was listed; run the command again."


def parse_size(text: str, where: str) -> int:
    """Bytes of `50GB`.

    Raises:
        ConfigError: Another text.
    """
    found = _SIZE.fullmatch(text)
    require(found and float(found[1]) > 0, where, text, "Write a size as 500MB, 50GB or 2TB.")
    assert found is not None
    return int(float(found[1]) * _UNITS[found[2]])


class RemoteCache:
    """The folder of all that was listed and fetched.

    Attributes:
        root: The folder.
        room: What of fetched files it may hold.
    """

    def __init__(self, root: Path, limit: int) -> None:
        """Nothing is listed yet."""
        self.root, self.room = root, Room(root, limit)
        self._below = os.path.join(root, "")
        self._listed: dict[str, tuple[float, Path, int]] = {}
        self._sizes: dict[str, int] = {}
        self._sums = set[str]()
        self._lock = threading.Lock()

    # ---- listing ------------------------------------------------------------------------------

    def local(self, address: str, where: str) -> Path:
        """The path that stands for an address; a pattern stays one.

        Args:
            address: Of a folder or an object, or with `*` and braces in its later parts.
            where: Dotted place in the configuration, for messages.

        Raises:
            ConfigError: There is nothing.
            DataError: It may not be read.
            StoreError: The store does not answer.
        """
        remote.check(address, where)
        base, rest = _parted(address)
        held = self._listed.get(base)
        if held is None or time.monotonic() > held[0] + _FRESH:
            found = listed(base)
            if not found:
                problem = f"there is nothing at {shown(base)}"
                raise ConfigError(where, problem, "Give the address of a folder or an object.")
            place = self._mirrored(base, found)
            held = (time.monotonic(), place, sum(one.size for one in found))
            with self._lock:
                self._listed[base] = held
                self._sizes[str(place)] = held[2]
        return held[1] / rest if rest else held[1]

    def known(self, address: str, where: str) -> Path:
        """The path that stands for an object; it is asked for unless a folder of it is listed.

        Args:
            address: Of an object.
            where: Dotted place in the configuration, for messages.

        Raises:
            ConfigError: There is nothing.
            DataError: It may not be read.
            StoreError: The store does not answer.
        """
        place = self.place(address)
        if any(str(folder) in self._sizes for folder in (place, *place.parents)):
            return place
        return self.local(address, where)

    def place(self, address: str) -> Path:
        """The path for an address, whether or not anything is there.

        Raises:
            DataError: It would lead elsewhere.
        """
        scheme, rest = address.split("://", 1)
        parts = [part for part in rest.split("/") if part]
        if any(part in (".", "..") or "\0" in part for part in parts):
            raise DataError(shown(address), "is a name that no file can have", "Rename it.")
        return self.root.joinpath(scheme, *parts)

    def address(self, path: str | Path) -> str | None:
        """The address that a path stands for; None of a path elsewhere."""
        scheme, _, rest = str(path).removeprefix(self._below).partition(os.sep)
        return f"{scheme}://{rest}" if self.holds(path) else None

    def holds(self, path: str | Path) -> bool:
        """Whether a path stands for an address."""
        # Asked for each picture: a Path would take as long as reading one.
        return str(path).startswith(self._below)

    def _mirrored(self, base: str, found: list[Object]) -> Path:
        """Make the files what the listing says; gives the path of the folder or the only file."""
        place = self.place(base)
        with told(self.root), alone(self.root, base):
            for one in found:
                self._stand(one)
            if place.is_dir():
                self._prune(place, {str(self.place(one.address)) for one in found})
        return place

    def _stand(self, one: Object) -> None:
        """Let a file stand for an object; one of the same version stays with its bytes."""
        path, time_ns = self.place(one.address), time_of(one.version, one.size)
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if is_mine(status) and (status.st_size, status.st_mtime_ns) == (one.size, time_ns):
                return
            if not is_mine(status) and stat.S_ISREG(status.st_mode):
                raise DataError(str(path), "is no file of the cache", "Remove it.")
        path.parent.mkdir(parents=True, exist_ok=True)
        stand(path, one.size, time_ns)

    def _prune(self, place: Path, kept: set[str]) -> None:
        """Remove files of objects that are not there any more."""
        for folder, _, names in os.walk(place):
            for name in names:
                path = os.path.join(folder, name)
                if path not in kept and is_mine(os.lstat(path)):
                    os.unlink(path)

    # ---- reading ------------------------------------------------------------------------------

    def ready(self, path: str, number: int, status: os.stat_result) -> os.stat_result:
        """Let a descriptor of a file that stands for an object be that of its bytes.

        It may be that of another file afterwards, whose status is returned.

        Raises:
            DataError, StoreError: See fill.
        """
        while is_hole(status) or not self._noted(path, number, status):
            self.fill(path)
            fetched = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(fetched, number, inheritable=False)
            os.close(fetched)
            status = os.fstat(number)
        return status

    def fill(self, path: str) -> None:
        """Fetch the bytes of a file, unless another process did.

        Raises:
            DataError: The object is gone, may not be read, or is another than was listed.
            StoreError: The store does not answer, or the disk is full.
        """
        with told(self.root), alone(self.root, path):
            status = os.stat(path)
            if not is_hole(status):
                return
            one, temporary = self._object(path, status), beside(Path(path))
            try:
                with open(temporary, "wb") as file:
                    digest = remote.fetch(one, file.fileno())
                self._check(one, status, digest)
                with contextlib.suppress(OSError):
                    os.setxattr(temporary, SUM, checksum(temporary))
                with self.room.counted(one.size):
                    finish(temporary, Path(path), FULL_MODE, status.st_mtime_ns)
            finally:
                temporary.unlink(missing_ok=True)
            with self._lock:
                self._sums.add(path)

    def _object(self, path: str, status: os.stat_result) -> Object:
        address = self.address(path)
        assert address is not None
        return Object(address, status.st_size, "")

    def _check(self, one: Object, status: os.stat_result, digest: bytes | None) -> None:
        """Refuse bytes of another version than was listed.

        Raises:
            DataError: They are.
        """
        # The ETag of a small object is often its MD5, which spares asking for it.
        if digest is not None and time_of(digest.hex(), one.size) == status.st_mtime_ns:
            return
        now = remote.info_of(one.address)
        if (now.size, time_of(now.version, now.size)) != (one.size, status.st_mtime_ns):
            raise DataError(shown(one.address), "is another object than when it was listed", _ANEW)

    def _noted(self, path: str, number: int, status: os.stat_result) -> bool:
        """Note that an open file is used; False where its bytes are not those that were fetched."""
        now = time.time_ns()
        if status.st_atime_ns < now - _NOTED * 1e9:
            with contextlib.suppress(OSError):
                os.utime(number, ns=(now, status.st_mtime_ns))
        with self._lock:
            if path in self._sums:
                return True
            self._sums.add(path)
        with contextlib.suppress(OSError):
            if os.getxattr(number, SUM) != checksum(path):
                stand(Path(path), status.st_size, status.st_mtime_ns)
                self._sums.discard(path)
                return False
        return True

    def part(self, path: str, status: os.stat_result, start: int, stop: int) -> bytes | None:
        """Bytes of a hole, asked for alone; None where the whole file is better fetched.

        That is so where all that was listed with it fits into the cache.
        """
        around = (path, *map(str, Path(path).parents))
        if max((self._sizes.get(one, 0) for one in around), default=0) <= self.room.limit:
            return None
        return remote.read_range(self._object(path, status).address, start, stop)


_in_use: list[RemoteCache] = []


def use(root: Path | None, size: str) -> None:
    """Set where what is fetched lies, and how much that may be.

    Args:
        root: The folder, or None for the user's own.
        size: As 50GB.

    Raises:
        ConfigError: It is no size.
    """
    limit = parse_size(size, "remote_cache")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    chosen = Path(os.path.abspath(root or os.path.join(base, "tl"))) / "remote"
    if not _in_use or (_in_use[0].root, _in_use[0].room.limit) != (chosen, limit):
        _in_use[:] = [RemoteCache(chosen, limit)]
        for scheme in remote.SCHEMES:
            stands(chosen / scheme, f"{scheme}:/")


def current() -> RemoteCache:
    """The cache of this process."""
    if not _in_use:
        use(None, DEFAULT)
    return _in_use[0]


def _parted(address: str) -> tuple[str, str]:
    """An address up to the folder before the first part with a pattern, and the rest."""
    scheme, rest = address.split("://", 1)
    parts = rest.rstrip("/").split("/")
    first = next((row for row, part in enumerate(parts) if _PATTERN.search(part)), len(parts))
    return f"{scheme}://{'/'.join(parts[:first])}", "/".join(parts[first:])
