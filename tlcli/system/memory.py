"""Memory: how much this machine has, and what to say when it is not enough."""

import contextlib
import gc
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tlcli.errors import TlError


@dataclass(frozen=True)
class Budget:
    """Bytes of memory that a run may keep things in, and what has its place there already.

    A value: what takes a place hands on the rest. Only what is kept counts, not the batch at work.

    Attributes:
        size: Bytes.
        taken: What has a place and its bytes, in order.
    """

    size: int
    taken: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, share: float) -> "Budget":
        """A share of the memory that is free now."""
        return cls(int(share * free()))

    @property
    def left(self) -> int:
        """Bytes without an owner; 0 where what cannot be done without took more than there was."""
        return max(self.size - sum(size for _, size in self.taken), 0)

    def after(self, what: str, size: int) -> "Budget":
        """What is left when something has its place."""
        return Budget(self.size, (*self.taken, (what, size))) if size else self


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


def let_go(owner: object, name: str) -> None:
    """Free what an attribute holds, if there is one, reference cycles in it too."""
    if hasattr(owner, name):
        delattr(owner, name)
        gc.collect()


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
    pages = [int(word) for word in _text(root / "proc/self/statm").split()] or [0] * 7
    for kind, place in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        limit, _ = resource.getrlimit(kind)
        if limit != resource.RLIM_INFINITY:
            found.append(limit - pages[place] * resource.getpagesize())
    return max(min(found), 0)


def _machine(root: Path, word: str) -> int:
    lines = _text(root / "proc/meminfo").splitlines()
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith(word)), 2 << 30)


def _groups(root: Path) -> list[tuple[int, int]]:
    """Limit and use of each control group that has a limit, in bytes; its file cache is no use."""
    found = []
    for place, limit, usage, cache in _group_folders(root):
        allowed = _text(place / limit).strip()
        if allowed.isdecimal():
            used = _text(place / usage).strip()
            facts = dict(
                line.split(maxsplit=1) for line in _text(place / "memory.stat").splitlines()
            )
            taken = (int(used) if used.isdecimal() else 0) - int(facts.get(cache, 0))
            found.append((int(allowed), max(taken, 0)))
    return found


def _group_folders(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Folders of this process's groups, from the highest, and names of limit, use and cache."""
    own = dict(line.split(":", 2)[1:] for line in _text(root / "proc/self/cgroup").splitlines())
    first = next((path for kinds, path in own.items() if "memory" in kinds.split(",")), "")
    for base, path, names in (
        ("sys/fs/cgroup", own.get("", ""), ("memory.max", "memory.current", "file")),
        ("sys/fs/cgroup/memory", first,
         ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")),
    ):  # fmt: skip
        # In a container the path may be the host's, which is not there.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            yield (root / base).joinpath(*parts[:depth]), *names


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.is_file() else ""
