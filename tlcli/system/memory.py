"""Memory: how much this machine has, and what to say when it is not enough."""

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import TlError


class OutOfMemory(TlError):  # noqa: N818 - named for what happened
    """Memory of the machine or of its accelerator that does not suffice."""


@contextlib.contextmanager
def told(doing: str, remedy: str) -> Iterator[None]:
    """Turn what numpy and TensorFlow raise when memory is short into one line.

    Args:
        doing: What, as in "before phase 1".
        remedy: A sentence that says what to do.

    Raises:
        OutOfMemory: Memory was short.
    """
    try:
        yield
    except _kinds() as error:
        raise OutOfMemory(f"out of memory {doing}. {remedy}") from error


def _kinds() -> tuple[type[BaseException], ...]:
    # The command line has no TensorFlow before a command needs it.
    tensorflow = sys.modules.get("tensorflow")
    errors = () if tensorflow is None else (tensorflow.errors.ResourceExhaustedError,)
    return (MemoryError, *errors)


def total(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may ever have: the machine's, or its container's limit.

    Args:
        root: Where the system's files lie.
    """
    limits = [limit for limit, _ in _groups(root)]
    return min([_machine(root, "MemTotal:"), *limits])


def group_limit(root: Path = Path("/")) -> int | None:
    """Bytes that a control group allows, as a container's; None where none does.

    Args:
        root: Where the system's files lie.
    """
    limits = [limit for limit, _ in _groups(root) if limit < _machine(root, "MemTotal:")]
    return min(limits, default=None)


def free(root: Path = Path("/")) -> int:
    """Bytes of memory that this process may still take: of the machine, its container, a limit.

    Args:
        root: Where the system's files lie.
    """
    found = [_machine(root, "MemAvailable:")]
    found += [limit - used for limit, used in _groups(root)]
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        pages = _text(root / "proc/self/statm").split()
        found.append(limit - int(pages[0]) * resource.getpagesize() if pages else limit)
    return max(min(found), 0)


def _machine(root: Path, word: str) -> int:
    lines = _text(root / "proc/meminfo").splitlines()
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(word)), 2 << 30)


def _groups(root: Path) -> list[tuple[int, int]]:
    """Limit and use of each control group that has a limit, in bytes; its file cache is no use."""
    found = []
    for limit, usage, cache in (
        ("memory.max", "memory.current", "file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_cache"),
    ):
        place = root / "sys/fs/cgroup"
        allowed = _text(place / limit).strip()
        if allowed.isdecimal():
            used = _text(place / usage).strip()
            facts = dict(
                line.split(maxsplit=1)
                for line in _text((place / limit).with_name("memory.stat")).splitlines()
            )
            taken = (int(used) if used.isdecimal() else 0) - int(facts.get(cache, 0))
            found.append((int(allowed), max(taken, 0)))
    return found


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.is_file() else ""
