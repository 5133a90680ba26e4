"""Workers of `tl launch` that are watched from outside, and killed at a moment that is chosen."""

import contextlib
import os
import signal
import time
from pathlib import Path

from tlcli.system.crew import PART

PATIENCE = 200.0


def until(process, condition):
    """Wait for what a process that runs is to bring about."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.001)
    return found


def worker(process, rank):
    """Id of the process of a worker that a launcher started; None before it is there."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for number in map(int, children):
        with contextlib.suppress(OSError):
            if f"LOCAL_RANK={rank}".encode() in environ(number):
                return number
    return None


def environ(number):
    return Path(f"/proc/{number}/environ").read_bytes().split(b"\0")


def kill(process, rank, when):
    """SIGKILL a worker as soon as a condition holds; gives what the condition gave.

    Args:
        process: The launcher.
        rank: Of the worker.
        when: Asked of the worker's process id; asked again while the worker stands still.
    """

    def caught():
        number = worker(process, rank)
        if number is None or not when(number):
            return None
        os.kill(number, signal.SIGSTOP)
        while state(number) not in "TZ":
            time.sleep(0.0002)
        found = when(number)
        os.kill(number, signal.SIGKILL if found else signal.SIGCONT)
        return found

    return until(process, caught)


def state(number):
    """Letter of what a process is doing."""
    return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0]


def at_a_part(number, folder):
    """Locks of the parts that a worker is at, while others are done; None otherwise.

    Args:
        number: Id of its process.
        folder: Of the places of parts.
    """
    locks = inodes(folder.glob("*/*.lock"))
    mine = held_by(number) if locks else ()
    names = [path for path, inode in locks.items() if inode in mine]
    done = [path for path in names if path.with_suffix(PART).exists()]
    return names if names and not done and any(folder.glob(f"*/*{PART}")) else None


def inodes(paths):
    """Inode of each file that is there."""
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.stat().st_ino
    return found


def held_by(number):
    """Inodes of the files that a process has locked."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {int(one[5].rpartition(":")[2]) for one in lines
            if one[1] == "FLOCK" and int(one[4]) == number}  # fmt: skip
