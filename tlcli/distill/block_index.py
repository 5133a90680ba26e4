"""Which blocks of a store are whole, and what its records depend on: small files, hashed."""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tlcli.models.frozen.items import Sources
from tlcli.system import files
from tlcli.system.opened import read_text

log = logging.getLogger(__name__)

MOST_SLOTS = 10**9


class BlockIndex:
    """The lines of an index, read and added to.

    Attributes:
        path: The file.
        free: First slot behind all that are named.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path, self.free = path, 0
        self._places: dict[str, tuple[int, str]] = {}
        self._names: set[str] = set()

    def read(self) -> None:
        """Take what the file says; lines that are torn or damaged say nothing."""
        self._places, self._names, self.free = {}, set(), 0
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else ()
        for line in lines:
            try:
                found = json.loads(line)
                slot, made_of = int(found["slot"]), str(found["made_of"])
            # A border: whatever a damaged line raises.
            except Exception:  # noqa: S112
                continue
            if 0 <= slot < MOST_SLOTS:
                self._places[made_of] = slot, str(found.get("sha256"))
                self._names.add(str(found.get("named")))
                self.free = max(self.free, slot + 1)

    def place(self, sources: Sources, places: range) -> tuple[int, str] | None:
        """Slot and SHA-256 of the block that was made of the same; None where there is none."""
        # Pictures are read only where something of their names is there.
        if sources.named(places) not in self._names:
            return None
        return self._places.get(sources.made_of(places))

    def add(self, slot: int, sources: Sources, places: range, sha256: str) -> None:
        """Say that a block is whole."""
        named, made_of = sources.named(places), sources.made_of(places)
        self._places[made_of], self.free = (slot, sha256), max(self.free, slot + 1)
        self._names.add(named)
        line = json.dumps({"slot": slot, "named": named, "made_of": made_of, "sha256": sha256})
        with self.path.open("ab") as file:
            # A line that a kill cut off must not swallow this one.
            torn = file.tell() and not self.path.read_bytes().endswith(b"\n")
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
            flush(file)


def read(path: Path) -> dict[str, Any]:
    """The head of a store.

    Raises:
        ValueError: It is not what was written.
    """
    found: dict[str, Any] = json.loads(read_text(path, "json"))
    if "own" not in found:
        raise ValueError("another version wrote it")
    if found.pop("own") != _hash(found):
        raise ValueError("its hash differs")
    return found


def write(path: Path, head: Mapping[str, Any]) -> None:
    """Write the head of a store with a hash of itself."""
    files.write_json(path, {**head, "own": _hash(head)})


def _hash(head: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()


def flush(file: Any) -> None:
    """Let the disk have what was written."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no other process fills the store."""
    # Without O_NONBLOCK a pipe that nobody reads would wait for ever.
    number = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    with os.fdopen(number, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("teacher    another process fills %s; waiting for it", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
