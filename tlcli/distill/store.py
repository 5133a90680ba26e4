"""Records of teacher outputs in a folder: sharded, checksummed, resumable, never mistaken.

    store.json     what the records depend on beside their pictures, and their format
    shard-0000.bin blocks of records in slots, one after the other
    index.jsonl    a line a block that is whole: its slot, the hash of what its records were made
                   of, and the SHA-256 of its bytes

A block is found by what it was made of, so data that grew or changed in one place computes only
the blocks that are new. It is flushed before its line is added, so after a kill the lines tell what
is there; nothing is written over, so others may read meanwhile.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.distill import block_index as heads
from tlcli.distill.block_index import BlockIndex
from tlcli.distill.coding import Coding
from tlcli.distill.store_facts import differences
from tlcli.distill.store_together import Computing, filled_together
from tlcli.errors import ConfigError, DataError
from tlcli.models.frozen.items import Sources
from tlcli.system import console, files
from tlcli.system.array_file import check_whole
from tlcli.system.crew import ALONE, Crew
from tlcli.system.notes import EXPERT
from tlcli.system.opened import open_regular, reason

log = logging.getLogger(__name__)

BATCH = 128
BLOCK_BATCHES = 8
BLOCK_BYTES = 16 << 20
SHARD_BYTES = 256 << 20


class Store:
    """Outputs of one teacher for a number of items, by item.

    Args:
        folder: Where they lie or will lie.
        facts: What all of them depend on by name, as JSON has it; `probe` is compared with
            tolerance.
        sources: What a record each is stored of; what it was made of is asked for when it was
            computed, or where there is another of its name to compare with.
        mend: Whether to begin anew where the head is damaged, instead of refusing it.

    Raises:
        ConfigError: The folder holds outputs that depend on something else, or other files.
        DataError: Its head is damaged.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], sources: Sources, mend: bool = False
    ) -> None:
        self.folder, self.items, self.sources = folder, len(sources), sources
        self.facts = json.loads(json.dumps(dict(facts)))
        self.coding: Coding | None = None
        self._mend = mend
        self._index = BlockIndex(folder / "index.jsonl")
        self._slots: Any = None
        self._maps: dict[int, Any] = {}
        self._read_head()

    def _read_head(self) -> None:
        path = self.folder / "store.json"
        # Listed first: another process may begin the store in between.
        found = {p.name for p in self.folder.iterdir()} if self.folder.is_dir() else set()
        if not path.exists():
            written = {name for name in found if name.endswith(files.MARK)}  # by another just now
            if found - written - {"lock"} or self.folder.is_file():
                raise ConfigError(
                    "teacher.cache", f"{self.folder} holds something else than teacher outputs",
                    "Give a new folder, or auto.",
                )  # fmt: skip
            return
        try:
            head = heads.read(path)
            shapes = {name: tuple(shape) for name, shape in head["shapes"].items()}
            self.coding = Coding(shapes, head["format"], head["kept"])
            stored = head["facts"]
        # A border: whatever a damaged head raises.
        except Exception as error:
            self.coding = None
            if self._mend:
                log.warning("teacher cache: %s is damaged; all is computed again", path)
                return
            raise DataError(
                str(path), f"cannot be read ({reason(error)})",
                "Delete the folder, or give another.",
            ) from None  # fmt: skip
        if differing := differences(stored, self.facts):
            raise ConfigError(
                "teacher.cache",
                f"{self.folder} holds outputs that differ in: {'; '.join(differing)}",
                "Give another folder, or auto; delete it if it is not needed.",
            )  # fmt: skip

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
        self._slots = np.full(self.blocks(), -1, np.int64)
        self._index.read()
        found = []
        for block in range(self.blocks()):
            kept = self._index.place(self.sources, self.places(block))
            if kept is None:
                found.append(block)
                continue
            slot, sha256 = kept
            if hashlib.sha256(self._bytes(slot, len(self.places(block)))).hexdigest() == sha256:
                self._slots[block] = slot
                continue
            log.warning("teacher cache: block %d in %s is damaged; it is computed again",
                        block, self._where(slot)[0])  # fmt: skip
            found.append(block)
        return found

    def _where(self, slot: int) -> tuple[Path, int]:
        """Shard of a slot, and its first byte there."""
        shard, first = divmod(slot * self.block, self._per_shard)
        return self._shard(shard), first * self._coding().dtype.itemsize

    def _shard(self, shard: int) -> Path:
        return self.folder / f"shard-{shard:04d}.bin"

    def _bytes(self, slot: int, count: int) -> bytes:
        shard, start = self._where(slot)
        try:
            with open_regular(shard, "shard") as file:
                file.seek(start)
                return file.read(count * self._coding().dtype.itemsize)
        except (OSError, DataError):
            return b""

    def fill(self, coding: Callable[[], Coding], compute: Computing, crew: Crew = ALONE) -> None:
        """Compute what is missing; one process at a time, or several together.

        Args:
            coding: Gives the format of a new store.
            compute: Items to signals of batches of BATCH.
            crew: This process.

        Raises:
            NoRoom: The disk is too small.
            WriteError: It cannot be written.
        """
        if self.coding is not None and not self.missing():
            console.say(f"teacher    outputs found in {self.folder}", EXPERT)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with heads.locked(self.folder):
                todo = self._begun(coding)
                if crew.is_alone:
                    self._append(todo, compute)
            if not crew.is_alone:
                filled_together(self, todo, compute, crew)
        except OSError as error:
            told = f"teacher.cache: {self.folder} cannot be written ({error.strerror})."
            raise files.WriteError(told) from error
        self._maps.clear()

    def _begun(self, coding: Callable[[], Coding]) -> list[int]:
        """Make a new store, or read what is there; gives the blocks that are missing."""
        self._read_head()
        if self.coding is None:
            self._start(coding())
        return self.missing()

    def _start(self, coding: Coding) -> None:
        self.coding = coding
        self.check_room(self.items)
        for old in [self._index.path, *self.folder.glob("shard-*.bin")]:  # Of a damaged head.
            old.unlink(missing_ok=True)
        heads.write(
            self.folder / "store.json",
            {
                "facts": self.facts, "format": coding.format, "kept": coding.kept,
                "shapes": {k: list(v) for k, v in coding.shapes.items()},
            },
        )  # fmt: skip

    def check_room(self, items: int) -> None:
        """Refuse to start what the disk cannot hold.

        Raises:
            NoRoom: It is too small.
        """
        remedy = "Give another folder, fewer augmentation.views, or teacher.cache=off."
        size = items * self._coding().dtype.itemsize
        files.check_room(self.folder, size, "teacher outputs", "teacher.cache", remedy)

    def _append(self, todo: list[int], compute: Computing) -> None:
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
        block, what = next(blocks), "storing teacher outputs"
        for signals in console.staged(compute(items), what, len(items), "outputs", _size):
            waiting.append(coding.encode(signals))
            # Batches never reach over a block: only the last block is no multiple of them.
            if sum(map(len, waiting)) == len(self.places(block)):
                records = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting.clear()
                self.write_block(block, records.view(np.uint8).data)
                block = next(blocks, -1)

    def write_block(self, block: int, content: memoryview) -> None:
        """Add a block, which is flushed before its line says so."""
        slot = self._index.free
        shard, start = self._where(slot)
        with shard.open("r+b" if shard.exists() else "x+b") as file:
            file.seek(start)
            file.write(content)
            heads.flush(file)
        sha256 = hashlib.sha256(content).hexdigest()
        self._index.add(slot, self.sources, self.places(block), sha256)
        self._slots[block] = slot

    def gather(self, items: Any) -> dict[str, Any]:
        """Signals of some items by name, float32 (items, ...); the store must be full."""
        items = np.asarray(items, np.int64)
        records = np.empty(len(items), self._coding().dtype)
        places = self._slots[items // self.block] * self.block + items % self.block
        shards = places // self._per_shard
        for shard in np.unique(shards).tolist():
            chosen = shards == shard
            records[chosen] = self._map(shard)[places[chosen] % self._per_shard]
        return self._coding().decode(records)

    def check(self) -> None:
        """Refuse shards of a full store that were cut off since it was filled.

        Raises:
            DataError: Some were.
        """
        size: int = self._coding().dtype.itemsize
        for block, slot in enumerate(self._slots.tolist()):
            path, start = self._where(slot)
            there = path.stat().st_size if path.is_file() else 0
            if there < start + len(self.places(block)) * size:
                problem = "was cut off while it was in use"
                raise DataError(str(path), problem, "Begin again: it is computed anew.")

    def _map(self, shard: int) -> Any:
        if shard not in self._maps:
            self.check()
            # Another process may be about to write behind what is read here.
            path, kind = self._shard(shard), self._coding().dtype
            count = path.stat().st_size // kind.itemsize
            self._maps[shard] = np.memmap(path, kind, mode="r", shape=(count,))
        # Reading what was cut off would end the process.
        check_whole(self._maps[shard])
        return self._maps[shard]


def _size(signals: Mapping[str, Any]) -> int:
    return len(next(iter(signals.values())))
