"""A table that several workers compute together, each some blocks, and one of them writes."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.models.frozen.items import Items
from tlcli.models.frozen.network import Frozen, as_kinds
from tlcli.system import crew as crews
from tlcli.system import parts
from tlcli.system.crew import Crew

# Blocks of a part, at most; and parts that there are at least, where there are so many blocks.
MOST_BLOCKS, LEAST_PARTS = 16, 16


@dataclass(frozen=True, eq=False)
class Shared:
    """Outputs that are to be computed.

    Attributes:
        crew: This worker.
        key: Hash of what they depend on beside the items.
        made: Computes them.
        items: All of them.
        cut: Places of each block.
        known: Outputs of blocks that other tables have, by their number.
    """

    crew: Crew
    key: str
    made: Frozen
    items: Items
    cut: Sequence[range]
    known: Mapping[int, list[Any]]

    def written(self, folder: Path, write: Callable[[Iterator[list[Any]]], Path]) -> Path:
        """Where the table lies, once all blocks are computed and one worker has written them.

        Args:
            folder: Of all tables.
            write: Writes blocks in order; gives where.

        Raises:
            WriteError: The parts cannot be written.
        """
        everything = range(len(self.items))
        place = self.crew.place("table", self.key + self.items.named(everything))
        final = folder / f"{self.key}-{self.items.made_of(everything)}"
        with crews.held(place / "lock", wait=True):
            if final.is_dir():
                return final
            crews.reopen(place)
        found = parts.computed(
            self.crew, place, len(self._groups), self._make, "computing", self._made_of
        )
        with crews.held(place / "lock", wait=True):
            if not final.is_dir():
                write(self._blocks(found))
                crews.close(place)
        return final

    @property
    def _groups(self) -> list[range]:
        """Numbers of the blocks of each part."""
        size = max(1, min(MOST_BLOCKS, len(self.cut) // LEAST_PARTS))
        numbers = range(len(self.cut))
        return [numbers[start : start + size] for start in range(0, len(numbers), size)]

    def _made_of(self, number: int) -> str:
        group = self._groups[number]
        return self.items.made_of(range(self.cut[group[0]].start, self.cut[group[-1]].stop))

    def _make(self, number: int) -> list[Any]:
        """Outputs of a part's blocks; each is a batch of its own."""
        group, kinds = self._groups[number], self._kinds
        todo = [np.asarray(self.cut[n], np.int64) for n in group if n not in self.known]
        fresh = self.made.of_items(self.items, np.concatenate([*todo, np.empty(0, np.int64)]))
        blocks = [self.known[n] if n in self.known else as_kinds(next(fresh), kinds) for n in group]
        return [np.concatenate(arrays) for arrays in zip(*blocks, strict=True)]

    @functools.cached_property
    def _kinds(self) -> list[Any]:
        return self.made.kinds(self.items.rows)

    def _blocks(self, found: Iterator[Sequence[Any]]) -> Iterator[list[Any]]:
        for group, arrays in zip(self._groups, found, strict=True):
            start = self.cut[group[0]].start
            for number in group:
                block = self.cut[number]
                yield [array[block.start - start : block.stop - start] for array in arrays]
