"""Records of teacher outputs in a folder: sharded, checksummed, resumable, never mistaken.

    store.json     what the records depend on, and their format
    shard-0000.bin blocks of records, one after the other
    index.jsonl    a line a block that is whole: its number and the SHA-256 of its bytes

A block is flushed before its line is added, so after a kill the lines tell what is there.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.distill.coding import Coding
from tlcli.distill.store_facts import differences
from tlcli.errors import ConfigError, DataError
from tlcli.system import console, files
from tlcli.system.array_file import check_whole
from tlcli.system.notes import EXPERT

log = logging.getLogger(__name__)

BATCH = 128
BLOCK_BATCHES = 8
BLOCK_BYTES = 16 << 20
SHARD_BYTES = 256 << 20


class Store:
    """Outputs of one teacher for a number of items, by item.

    Args:
        folder: Where they lie or will lie.
        facts: What they depend on by name, as JSON has it; `probe` is compared with tolerance.
        items: Number of records.
        pictures: Gives the hash of the items' pictures, asked for where there is something to tell
            apart; None where there are none.

    Raises:
        ConfigError: The folder holds outputs that depend on something else, or other files.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], items: int,
        pictures: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.items = folder, items
        self.facts = json.loads(json.dumps(dict(facts)))
        self.coding: Coding | None = None
        self._pictures = pictures
        self._sums: dict[int, str] = {}
        self._maps: dict[int, Any] = {}
        self._read_head()

    def _read_head(self) -> None:
        path = self.folder / "store.json"
        if not path.exists():
            found = [p.name for p in self.folder.iterdir()] if self.folder.is_dir() else []
            if set(found) - {"lock"} or self.folder.is_file():
                raise ConfigError(
                    "teacher.cache", f"{self.folder} holds something else than teacher outputs",
                    "Give a new folder, or auto.",
                )  # fmt: skip
            return
        try:
            head = json.loads(path.read_text(encoding="utf-8"))
            shapes = {name: tuple(shape) for name, shape in head["shapes"].items()}
            self.coding = Coding(shapes, head["format"], head["kept"])
            stored = head["facts"]
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(
                str(path), f"cannot be read ({error})", "Delete the folder, or give another."
            ) from None
        self._name_pictures()
        if differing := differences(stored, self.facts):
            raise ConfigError(
                "teacher.cache",
                f"{self.folder} holds outputs that differ in: {'; '.join(differing)}",
                "Give another folder, or auto; delete it if it is not needed.",
            )  # fmt: skip

    def _name_pictures(self) -> None:
        """Complete the facts by the content of the pictures."""
        if self._pictures is not None and "pictures" not in self.facts:
            self.facts["pictures"] = self._pictures()

    @property
    def block(self) -> int:
        """Records of a block; the last may be shorter."""
        size: int = self._coding().dtype.itemsize
        return BATCH * min(max(BLOCK_BYTES // (BATCH * size), 1), BLOCK_BATCHES)

    @property
    def _per_shard(self) -> int:
        size: int = self._coding().dtype.itemsize
        return max(1, SHARD_BYTES // (self.block * size)) * self.block

    def _coding(self) -> Coding:
        assert self.coding is not None
        return self.coding

    def blocks(self) -> int:
        """How many blocks a full store has."""
        return -(-self.items // self.block)

    def places(self, block: int) -> range:
        """Items of a block."""
        return range(block * self.block, min((block + 1) * self.block, self.items))

    def missing(self) -> list[int]:
        """Blocks that are not there, or whose bytes are not what was written; the latter warn."""
        if self.coding is None:
            return [0]
        self._sums = dict(_lines(self.folder / "index.jsonl"))
        found = []
        for block in range(self.blocks()):
            if block not in self._sums:
                found.append(block)
            elif hashlib.sha256(self._bytes(block)).hexdigest() != self._sums[block]:
                shard, _ = self._where(block)
                log.warning("teacher cache: block %d in %s is damaged; it is computed again",
                            block, shard)  # fmt: skip
                found.append(block)
        return found

    def _where(self, block: int) -> tuple[Path, int]:
        """Shard of a block, and its first byte there."""
        shard, first = divmod(block * self.block, self._per_shard)
        return self._shard(shard), first * self._coding().dtype.itemsize

    def _shard(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:04d}.bin"

    def _bytes(self, block: int) -> bytes:
        shard, start = self._where(block)
        try:
            with shard.open("rb") as file:
                file.seek(start)
                return file.read(len(self.places(block)) * self._coding().dtype.itemsize)
        except FileNotFoundError:
            return b""

    def fill(
        self, coding: Callable[[], Coding], compute: Callable[[Any], Iterator[Mapping[str, Any]]]
    ) -> None:
        """Compute what is missing; one process at a time.

        Args:
            coding: Gives the format of a new store.
            compute: Items int64 (n,) to signals of batches of BATCH in their order.

        Raises:
            NoRoom: The disk is too small.
            WriteError: It cannot be written.
        """
        if self.coding is not None and not self.missing():
            console.say(f"teacher    outputs found in {self.folder}", EXPERT)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._read_head()
                if self.coding is None:
                    self._start(coding())
                self._append(self.missing(), compute)
        except OSError as error:
            told = f"teacher.cache: {self.folder} cannot be written ({error.strerror})."
            raise files.WriteError(told) from error
        self._maps.clear()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("teacher    another process fills %s; waiting for it", self.folder)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _start(self, coding: Coding) -> None:
        self.coding = coding
        self.check_room(self.items)
        self._name_pictures()
        files.write_json(
            self.folder / "store.json",
            {
                "facts": self.facts, "items": self.items, "format": coding.format,
                "kept": coding.kept, "shapes": {k: list(v) for k, v in coding.shapes.items()},
            },
        )  # fmt: skip

    def check_room(self, items: int) -> None:
        """Refuse to start what the disk cannot hold.

        Raises:
            NoRoom: It is too small.
        """
        files.check_room(
            self.folder, items * self._coding().dtype.itemsize, "teacher outputs",
            "teacher.cache",
            "Give another folder, fewer augmentation.views, or teacher.cache=off.",
        )  # fmt: skip

    def _append(
        self, todo: list[int], compute: Callable[[Any], Iterator[Mapping[str, Any]]]
    ) -> None:
        if not todo:
            return
        items = np.concatenate([np.asarray(self.places(b), np.int64) for b in todo])
        self.check_room(len(items))
        coding = self._coding()
        kind = f"top {coding.kept} of {coding.shapes['teacher_logits'][0]} classes" if (
            coding.format == "top_k") else coding.format  # fmt: skip
        console.say(
            f"teacher    storing {len(items)} outputs ({self.blocks() - len(todo)} of "
            f"{self.blocks()} blocks are there), "
            f"{files.megabytes(len(items) * coding.dtype.itemsize)}, as {kind} in {self.folder}",
            EXPERT,
        )
        waiting: list[Any] = []
        blocks = iter(todo)
        block = next(blocks)
        parts = compute(items)
        for signals in console.staged(
            parts, "storing teacher outputs", len(items), "outputs", _size
        ):
            waiting.append(coding.encode(signals))
            # Batches never reach over a block: only the last block is no multiple of them.
            if sum(map(len, waiting)) == len(self.places(block)):
                records = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting.clear()
                self._write(block, records.view(np.uint8).data)
                block = next(blocks, -1)

    def _write(self, block: int, content: memoryview) -> None:
        shard, start = self._where(block)
        with shard.open("r+b" if shard.exists() else "x+b") as file:
            file.seek(start)
            file.write(content)
            _flush(file)
        self._sums[block] = hashlib.sha256(content).hexdigest()
        line = json.dumps({"block": block, "sha256": self._sums[block]})
        with (self.folder / "index.jsonl").open("ab") as file:
            # A line that a kill cut off must not swallow this one.
            torn = file.tell() and not (self.folder / "index.jsonl").read_bytes().endswith(b"\n")
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
            _flush(file)

    def gather(self, items: Any) -> dict[str, Any]:
        """Signals of some items by name, float32 (items, ...); the store must be full."""
        items = np.asarray(items, np.int64)
        records = np.empty(len(items), self._coding().dtype)
        shards = items // self._per_shard
        for shard in np.unique(shards).tolist():
            chosen = shards == shard
            records[chosen] = self._map(shard)[items[chosen] % self._per_shard]
        return self._coding().decode(records)

    def check(self) -> None:
        """Refuse shards of a full store that were cut off since it was filled.

        Raises:
            DataError: Some were.
        """
        size: int = self._coding().dtype.itemsize
        for first in range(0, self.items, self._per_shard):
            path, records = self._shard(first // self._per_shard), self.items - first
            there = path.stat().st_size if path.is_file() else 0
            if there < min(records, self._per_shard) * size:
                problem = "was cut off while it was in use"
                raise DataError(str(path), problem, "Begin again: it is computed anew.")

    def _map(self, shard: int) -> Any:
        if shard not in self._maps:
            self.check()
            self._maps[shard] = np.memmap(self._shard(shard), self._coding().dtype, mode="r")
        # Reading what was cut off would end the process.
        check_whole(self._maps[shard])
        return self._maps[shard]


def _size(signals: Mapping[str, Any]) -> int:
    return len(next(iter(signals.values())))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Block and hash of each whole line; a later line replaces an earlier one."""
    for line in path.read_bytes().split(b"\n") if path.is_file() else ():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(line)
            yield int(found["block"]), str(found["sha256"])


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
