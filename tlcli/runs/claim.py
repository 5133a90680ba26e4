"""One owner of a folder: claimed before anything is written, locked in use, asked for at each save.

The lock is the kernel's (flock), so it ends with its process however that ends. The file that it
lies on says whose it is, and tells what a killed process left from what is held.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tlcli.errors import ConfigError, TlError
from tlcli.system import console, files, shown

LOCK = "run.lock"
MOST_BYTES = 4096
# What a file system says that knows no locks.
LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Lost(TlError):  # noqa: N818 - named after what happened
    """The folder is no longer the one that was claimed; nothing more may be written."""


class Claim:
    """A folder that this process alone writes in.

    Attributes:
        path: Where it was claimed.
    """

    def __init__(self, path: Path, folder: int, lock: int, made: bool, named: bool) -> None:
        self.path = path
        self._folder, self._lock, self._made = folder, lock, made
        # The folders that a run without a name of its own lies in: runs/train/TIME.
        self._around = path.parents[:2] if named else ()
        self._content = json.dumps(myself()).encode()

    def sign(self) -> None:
        """Write into the lock file whose it is.

        Raises:
            WriteError: The disk is full.
        """
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, self._content, 0)
            os.fsync(self._lock)
        except OSError as error:
            raise files.write_error(self.path / LOCK, error, len(self._content)) from error

    def check(self) -> None:
        """Make sure that the folder is still there and still ours.

        Raises:
            Lost: It was moved, removed or taken over.
            WriteError: That cannot be seen now.
        """
        try:
            ours = self._is_ours()
        except (FileNotFoundError, NotADirectoryError):
            ours = False
        except OSError as error:
            raise files.write_error(self.path, error) from error
        if not ours:
            raise Lost(f"{self.path}: {self._fate()}")

    def _is_ours(self) -> bool:
        same_folder = os.path.samestat(os.stat(self.path), os.fstat(self._folder))
        same_lock = os.path.samestat(os.lstat(self.path / LOCK), os.fstat(self._lock))
        return same_folder and same_lock and self._content == os.pread(self._lock, MOST_BYTES, 0)

    def _fate(self) -> str:
        """What became of the folder, and what to do."""
        try:
            now = Path(os.readlink(f"/proc/self/fd/{self._folder}"))
            found = os.path.samestat(os.stat(now), os.fstat(self._folder))
        except OSError:
            found = False
        if not found:
            return "was removed or replaced during the training. Nothing more is written."
        if now == Path(os.path.realpath(self.path)):
            return f"its {LOCK} was removed or replaced during the training. No more is written."
        return (
            f"was moved during the training and is {now} now. Nothing more is written; go on "
            f"with: tl train resume={shown.typed(now)}"
        )

    def release(self) -> None:
        """Give it back; a folder that was made for nothing goes."""
        with contextlib.suppress(OSError):
            if self._is_ours():
                os.unlink(self.path / LOCK)
                if self._made and not os.listdir(self._folder):
                    for folder in (self.path, *self._around):
                        os.rmdir(folder)
        os.close(self._lock)
        os.close(self._folder)


@contextlib.contextmanager
def owned(path: Path, where: str = "run_dir", new: bool = False) -> Iterator[Claim]:
    """A folder, made if need be, that no other process of ours writes in meanwhile.

    Args:
        path: The folder.
        where: Dotted place in the configuration that names it.
        new: Whether `new_folder` just made it, so that it goes if nothing was written.

    Raises:
        ConfigError: Another process has it.
        TlError: It cannot be made, or nothing can be written in it.
    """
    claim = _claimed(path, where, new)
    try:
        yield claim
    finally:
        claim.release()


def new_folder(base: Path, where: str = "run_dir") -> Path:
    """Make a folder named by the time; of starts in one second each gets its own.

    Raises:
        TlError: It cannot be made.
    """
    try:
        for path in names(base):
            with contextlib.suppress(FileExistsError):
                # Whether the folder is new is decided by making it, never by looking first.
                path.mkdir(parents=True)
                return path
    except OSError as error:
        raise unwritable(base, where, error) from None
    raise AssertionError("there is always another number")


def free_name(base: Path) -> Path:
    """The folder that `new_folder` would make now."""
    return next(path for path in names(base) if not path.exists())


def names(base: Path) -> Iterator[Path]:
    """Names by the time, then with a number."""
    stamp, number = datetime.now().strftime("%Y-%m-%d_%H-%M-%S"), 1
    while True:
        yield base / (stamp if number == 1 else f"{stamp}-{number}")
        number += 1


def unwritable(path: Path, where: str, error: OSError) -> TlError:
    """The one line for a folder in which nothing can be written."""
    kept = " What is in it is whole." if (path / "config.json").is_file() else ""
    return TlError(
        f"{where}: {path} cannot be made or written ({error.strerror}).{kept} Give another {where}."
    )


def _claimed(path: Path, where: str, new: bool) -> Claim:
    try:
        made = _made(path)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            lock, left = _locked(path, where)
        except BaseException:
            os.close(folder)
            raise
    except OSError as error:
        raise unwritable(path, where, error) from None
    claim = Claim(path, folder, lock, made or new, named=new)
    if left:
        console.say(f"{path} was left by {owner(left)}, which is gone; this process goes on")
    try:
        claim.sign()
        # A folder that was moved between the two openings is not the one that was locked.
        claim.check()
    except BaseException:
        claim.release()
        raise
    return claim


def _made(path: Path) -> bool:
    """Make a folder; gives whether it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _locked(path: Path, where: str) -> tuple[int, dict[str, Any]]:
    """The open lock file of a folder, locked, and what an owner that is gone left in it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        lock = os.open(path / LOCK, flags, 0o644)
        try:
            if not stat.S_ISREG(os.fstat(lock).st_mode):
                raise ConfigError(where, f"{path / LOCK} is no file", "Remove it.")
            if not _flock(lock, path, where) and held(found := _content(lock)) is not False:
                raise taken(path, found, where)
            with contextlib.suppress(FileNotFoundError):
                # Its owner may have taken the file away after it was opened here.
                if os.path.samestat(os.lstat(path / LOCK), os.fstat(lock)):
                    return lock, _content(lock)
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _flock(lock: int, path: Path, where: str) -> bool:
    """Lock a file; False where the file system knows no locks.

    Raises:
        ConfigError: Another process has it.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Its owner may have locked it just now, and not signed yet.
        for _ in range(20):
            if _content(lock):
                break
            time.sleep(0.02)
        raise taken(path, _content(lock), where) from None
    except OSError as error:
        if error.errno in LOCKLESS:
            return False
        raise
    return True


def _content(lock: int) -> dict[str, Any]:
    """What a lock file says; nothing where it says nothing of use."""
    try:
        found = json.loads(os.pread(lock, MOST_BYTES, 0))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def taken(path: Path, found: dict[str, Any], where: str) -> ConfigError:
    """The refusal of a folder that another process has."""
    return ConfigError(
        where, f"{path} is in use by {owner(found)}",
        f"Wait for it, end it, or give another {where}.",
    )  # fmt: skip


def owner(found: dict[str, Any]) -> str:
    """Whose a lock is, in words; what stands in the file is not trusted."""
    words = {k: str(found.get(k, "?"))[:80] for k in ("pid", "host", "since")}
    pid, host, since = (v if v.isprintable() else "?" for v in words.values())
    return f"process {pid} on {host}, since {since}"


def held(found: dict[str, Any]) -> bool | None:
    """Whether an owner still runs; None for one of another machine."""
    if not found:
        return False
    mine = myself()
    if found.get("host") != mine["host"]:
        return None
    pid = found.get("pid")
    if found.get("boot") != mine["boot"] or not isinstance(pid, int):
        return False
    return found.get("started") == started(pid) and started(pid) is not None


def myself() -> dict[str, Any]:
    """What tells this process from any other, of any machine and time."""
    return {
        "host": socket.gethostname(), "pid": os.getpid(), "started": started(os.getpid()),
        "boot": boot(), "since": datetime.now().isoformat(" ", "seconds"),
    }  # fmt: skip


def started(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None where there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    return None


def boot() -> str:
    """What the kernel calls the time since it began; "" where it calls it nothing."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
