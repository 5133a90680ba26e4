"""Outputs of frozen computation, computed once over finite views and kept.

A table's name is a hash of all that its numbers depend on but the pictures (weights and graph of
the model that made it, the kind of views), then a hash of the pictures' whole content. It lies in
the cache folder as .npy files with their hashes, so another run, another head or another learning
rate finds it. Beside them stands what each block of rows was made of: data that grew or changed in
one place takes over the blocks that are the same, and computes the others.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcli.data.resize import PIXELS
from tlcli.data.views import Views
from tlcli.models.frozen import table_file
from tlcli.models.frozen.items import Items, blocks_of
from tlcli.models.frozen.network import Frozen, Network, in_memory, weights_hash
from tlcli.models.frozen.together import Shared
from tlcli.system import cache, console, files
from tlcli.system.crew import ALONE, Crew
from tlcli.system.notes import EXPERT

log = logging.getLogger(__name__)


class Tables:
    """Reads and writes tables in a folder.

    Attributes:
        folder: Where they lie, or None to keep them in memory alone.
        crew: This process among those that compute a table together.
    """

    def __init__(self, folder: Path | None, crew: Crew = ALONE) -> None:
        self.folder, self.crew = folder, crew
        self._writes = folder is not None
        self._last: Network | None = None

    def _network(self, model: Any) -> "Network | None":
        """A model as it is now; its training and its validation images meet the same one."""
        if model is None:
            return None
        weights = weights_hash(model.variables)
        if self._last is None or self._last.model is not model or self._last.weights != weights:
            self._last = Network(model, weights)
        return self._last

    def outputs(  # noqa: PLR0913
        self, model: Any, views: Views, rows: Any, count: int, batch: int,
        half: bool = False, mapped: bool = False,
    ) -> list[Any]:  # fmt: skip
        """Outputs of a frozen model for `count` views of each row.

        Args:
            model: keras.Model of uint8 images, or None for the images themselves.
            views: Finite views.
            rows: Manifest rows (samples,).
            count: Views of each row.
            batch: Images at a time.
            half: Keep float32 outputs as float16 where that is exact enough.
            mapped: Leave them on disk, memory-mapped; needs a folder.

        Returns:
            Arrays (count * samples, ...): all rows of view 0, then of view 1, ...

        Raises:
            NoRoom: They are to be mapped, and the disk cannot hold them.
        """
        network = self._network(model)
        made = Frozen(network, views, batch, half)
        length = len(rows) * count
        if self.folder is None:
            return in_memory(made.parts(rows, count), length)
        found: list[Any] | None = None
        key, items = table_key(network, views, batch, half), Items(views, rows, count)
        cut = blocks_of(length, batch)
        old = alike(sorted(self.folder.glob(f"{key}-*")), items, cut)
        # Where nothing else was computed, the pictures need not be told apart: they are read once.
        if old:
            place = self.folder / f"{key}-{items.made_of(range(length))}"
            if (found := self._read(place, mapped)) is not None:
                console.say(f"cache      outputs of frozen layers found in {place}", EXPERT)
                return found
        if not self._writes:
            return self._unwritten(made, rows, count, mapped)
        # What is exact enough for float16 is decided by all pictures together.
        known = {} if half or not old else self._known(old, items, cut)
        try:
            files.check_room(self.folder, made.size(length), "outputs")
            found = self._read(self._computed(key, made, items, cut, known), mapped)
        except (files.NoRoom, files.WriteError, OSError) as error:
            # Where nothing at all can be written, the next table need not be computed twice.
            self._writes = isinstance(error, files.NoRoom)
            cache.done_without(self.folder.parent, error)
            if mapped:
                raise files.NoRoom(str(error)) from error
        return found or self._unwritten(made, rows, count, mapped)

    def _computed(
        self, key: str, made: Frozen, items: Items, cut: Sequence[range],
        known: Mapping[int, list[Any]],
    ) -> Path:  # fmt: skip
        """Compute a table, with others where there are others; gives where it lies."""
        folder, everything = self.folder, range(len(items))
        assert folder is not None

        def write(parts: Iterator[list[Any]]) -> Path:
            return write_table(
                folder, parts, len(items), lambda: f"{key}-{items.made_of(everything)}",
                lambda: [(items.named(block), items.made_of(block)) for block in cut],
            )  # fmt: skip

        if self.crew.is_alone:
            return write(made.completed(items, cut, known))
        return Shared(self.crew, key, made, items, cut, known).written(folder, write)

    def _unwritten(self, made: Frozen, rows: Any, count: int, mapped: bool) -> list[Any]:
        """Outputs that no disk holds, in memory.

        Raises:
            NoRoom: They are too large for it.
        """
        if mapped:
            raise files.NoRoom(f"{files.megabytes(made.size(len(rows) * count))} have no room")
        return in_memory(made.parts(rows, count), len(rows) * count)

    def _known(self, old: Sequence[Path], items: Items, cut: Sequence[range]) -> dict[int, Any]:
        """Outputs of blocks that other tables have: number of the block to arrays (block, ...)."""
        wanted = {items.made_of(block): number for number, block in enumerate(cut)}
        known: dict[int, Any] = {}
        for place in old:
            starts = table_file.blocks(place)
            here = [(made_of, start) for start, (_, made_of) in starts.items()
                    if wanted.get(made_of, -1) not in (-1, *known)]  # fmt: skip
            arrays = self._read(place, True) if here else None
            if arrays is None:
                continue
            for made_of, start in here:
                block = cut[wanted[made_of]]
                known[wanted[made_of]] = [array[start : start + len(block)] for array in arrays]
        if known:
            told = f"{len(known)} of {len(cut)} blocks of outputs are those of other tables"
            console.say(f"cache      {told}", EXPERT)
        return known

    def _read(self, place: Path, mapped: bool) -> list[Any] | None:
        try:
            return table_file.read(place, mapped)
        except table_file.DamagedError as path:
            log.warning("cache: %s is damaged; it is computed again", path)
            return None


def alike(places: Sequence[Path], items: Items, cut: Sequence[range]) -> list[Path]:
    """Tables of which a block has the name of one of these."""
    if not places:
        return []
    names = {items.named(block) for block in cut}
    return [
        place for place in places
        if names & {name for name, _ in table_file.blocks(place).values()}
    ]  # fmt: skip


def write_table(
    folder: Path, parts: Iterator[list[Any]], length: int, name: Callable[[], str],
    blocks: Callable[[], Sequence[tuple[str, str]]] = tuple,
) -> Path:  # fmt: skip
    """Write parts as they come into a folder that is named at the end; gives it.

    Args:
        folder: Of all tables.
        parts: See Frozen.parts; with blocks, each is one of them.
        length: Entries of all parts.
        name: Of the table's own folder.
        blocks: What each block is called, and what it was made of.
    """
    starts = [0]
    with table_file.Writer(folder, length) as writer:
        for part in parts:
            writer.add(part)
            starts.append(starts[-1] + len(part[0]))
        return writer.keep(name(), dict(zip(starts, blocks(), strict=False)))


def table_key(network: Network | None, views: Views, batch: int, half: bool = False) -> str:
    """Hash of everything a table depends on but the pictures, their ids and numbers of views."""
    digest = hashlib.sha256()
    augmentation = views.augmentation
    facts: list[Any] = [views.resize.as_dict(), repr(augmentation)]
    facts += [views.seed if augmentation is not None else 0, "tl-table-5", PIXELS, half, batch]
    digest.update(json.dumps(facts, default=str).encode())
    if network is not None:
        digest.update(network.identity.encode())
    return digest.hexdigest()[:32]
