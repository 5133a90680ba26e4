"""Memory: how much this machine has, and what to say when it is not enough."""

import contextlib
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
    found = [2 << 30]
    table = root / "proc/meminfo"
    if table.is_file():
        lines = table.read_text(encoding="ascii").splitlines()
        found = [int(x.split()[1]) * 1024 for x in lines if x.startswith("MemTotal:")] or found
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = root / "sys/fs/cgroup" / name
        text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
        if text.isdecimal():
            found.append(int(text))
    return min(found)
