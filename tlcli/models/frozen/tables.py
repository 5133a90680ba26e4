"""Outputs of frozen computation, computed once over finite views and kept.

A table's name is a hash of all that its numbers depend on but the pictures (weights and graph of
the model that made it, the views, the samples), then a hash of the pictures' whole content. It lies
in the cache folder as .npy files with their hashes, so another run, another head or another
learning rate finds it.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.data.content import combined
from tlcli.data.resize import PIXELS
from tlcli.data.views import Views
from tlcli.models.frozen import table_file
from tlcli.models.frozen.network import Frozen, Network, in_memory, weights_hash
from tlcli.system import cache, console, files
from tlcli.system.notes import EXPERT

log = logging.getLogger(__name__)


class Tables:
    """Reads and writes tables in a folder.

    Attributes:
        folder: Where they lie, or None to keep them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
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
        if self.folder is None:
            return in_memory(made.parts(rows, count), len(rows) * count)
        found: list[Any] | None = None
        key, images = table_key(network, views, rows, count, half), views.manifest.images
        # Where nothing else was computed, the pictures need not be told apart: they are read once.
        if next(self.folder.glob(f"{key}-*"), None) is not None:
            place = self.folder / f"{key}-{combined(images.hashes(rows))}"
            if (found := self._read(place, mapped)) is not None:
                console.say(f"cache      outputs of frozen layers found in {place}", EXPERT)
                return found
        if not self._writes:
            return self._unwritten(made, rows, count, mapped)
        try:
            files.check_room(self.folder, made.size(len(rows) * count), "outputs")
            kept = write_table(
                self.folder, made.parts(rows, count), len(rows) * count,
                lambda: f"{key}-{combined(images.hashes(rows))}",
            )  # fmt: skip
            found = self._read(kept, mapped)
        except (files.NoRoom, OSError) as error:
            # Where nothing at all can be written, the next table need not be computed twice.
            self._writes = isinstance(error, files.NoRoom)
            cache.done_without(self.folder.parent, error)
            if mapped:
                raise files.NoRoom(str(error)) from error
        return found or self._unwritten(made, rows, count, mapped)

    def _unwritten(self, made: Frozen, rows: Any, count: int, mapped: bool) -> list[Any]:
        """Outputs that no disk holds, in memory.

        Raises:
            NoRoom: They are too large for it.
        """
        if mapped:
            raise files.NoRoom(f"{files.megabytes(made.size(len(rows) * count))} have no room")
        return in_memory(made.parts(rows, count), len(rows) * count)

    def _read(self, place: Path, mapped: bool) -> list[Any] | None:
        try:
            return table_file.read(place, mapped)
        except table_file.DamagedError as path:
            log.warning("cache: %s is damaged; it is computed again", path)
            return None


def write_table(
    folder: Path, parts: Iterator[list[Any]], length: int, name: Callable[[], str]
) -> Path:
    """Write parts as they come into a folder that is named at the end; gives it."""
    with table_file.Writer(folder, length) as writer:
        for part in parts:
            writer.add(part)
        return writer.keep(name())


def table_key(
    network: Network | None, views: Views, rows: Any, count: int, half: bool = False
) -> str:
    """Hash of everything a table depends on but the content of the pictures."""
    digest = hashlib.sha256()
    augmentation = views.augmentation
    facts = [views.manifest.fingerprint, views.resize.as_dict(), count, repr(augmentation)]
    facts += [views.seed if augmentation is not None else 0, "tl-table-4", PIXELS, half]
    digest.update(json.dumps(facts, default=str).encode())
    digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
    if network is not None:
        digest.update(network.identity.encode())
    return digest.hexdigest()[:32]
