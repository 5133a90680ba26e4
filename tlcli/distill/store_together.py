"""Blocks of a store that several workers compute together, and one of them writes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from tlcli.distill import block_index as heads
from tlcli.distill.coding import Coding
from tlcli.models.frozen.items import Sources
from tlcli.system import crew as crews
from tlcli.system import parts
from tlcli.system.crew import Crew

# Items int64 (n,) to signals of batches in their order.
Computing = Callable[[Any], Iterator[Mapping[str, Any]]]


class Store(Protocol):
    """What is asked of a store; see `store.Store`."""

    folder: Any
    sources: Sources
    coding: Coding | None

    def places(self, block: int) -> range:
        """Items of a block."""

    def missing(self) -> list[int]:
        """Blocks that are not there."""

    def check_room(self, items: int) -> None:
        """Refuse to start what the disk cannot hold."""

    def write_block(self, block: int, content: memoryview) -> None:
        """Add a block."""


def filled_together(store: Store, todo: list[int], compute: Computing, crew: Crew) -> None:
    """Compute blocks with others, and write what none of them has written yet.

    Args:
        store: It has its format.
        todo: The blocks.
        compute: Gives the signals of items.
        crew: This worker.

    Raises:
        NoRoom: The disk is too small.
        WriteError: It cannot be written.
    """
    coding = store.coding
    assert coding is not None

    def make(number: int) -> list[Any]:
        signals = compute(np.asarray(store.places(todo[number]), np.int64))
        return [np.concatenate([coding.encode(batch) for batch in signals]).view(np.uint8)]

    def made_of(number: int) -> str:
        return store.sources.made_of(store.places(todo[number]))

    store.check_room(sum(len(store.places(block)) for block in todo))
    place = crew.place("teacher", f"{store.folder.resolve()} {todo}")
    with heads.locked(store.folder):
        if store.missing():
            crews.reopen(place)
    found = parts.computed(crew, place, len(todo), make, "teaching", made_of)
    with heads.locked(store.folder):
        lacking = set(store.missing())
        for number, (content,) in enumerate(found) if lacking else ():
            if todo[number] in lacking:
                store.write_block(todo[number], content.data)
        crews.close(place)
