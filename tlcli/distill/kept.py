"""Outputs of a teacher over finite views: from its store, from memory, for tables and streams."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.contracts.teacher import Target
from tlcli.data.resize import PIXELS
from tlcli.distill.coding import DENSE_CLASSES, LOGITS, Coding, kept_classes
from tlcli.distill.store import BATCH, Store
from tlcli.errors import ConfigError, TlError
from tlcli.models.frozen.items import Items
from tlcli.models.frozen.network import in_memory
from tlcli.system import cache, console, files
from tlcli.system.files import expanded

log = logging.getLogger(__name__)

# Maps are kept where reading them costs less than computing them, and never above a size. Fixed
# numbers, so that the same command does the same anywhere.
MOST_MAP_BYTES = 1 << 30
READ_BYTES_A_SECOND = 5e8
FLOPS_A_SECOND = {"CPU": 3e10, "GPU": 1e13}
# Of an image whose teacher is asked in the step: decoding, and calls of many small operations.
ASKING_SECONDS = 1e-4


class Kept:
    """What a teacher says of the student's training views, computed once.

    Args:
        option: A `_common.Computed`, or None for a teacher that keeps nothing.
        target: Whose views.
        shapes: Shape of each signal by name, without batch.
        run: uint8 images (batch, side, side, 3) to the signals in that order.
        identity: Hash of all that the teacher is made of.
        flops: Floating-point operations of one image.

    Attributes:
        store: On disk, or None.
        size: Bytes of all its outputs as float32.
        worth: Whether its outputs are worth being computed once and kept.

    Raises:
        ConfigError: A folder that holds something else, or views that never come again.
    """

    def __init__(
        self, option: Any, target: Target, shapes: Mapping[str, tuple[int, ...]],
        run: Callable[[Any], Any], identity: str, flops: float = 0.0,
    ) -> None:  # fmt: skip
        self.option, self.target, self.shapes, self.run = option, target, dict(shapes), run
        self.count: int | None = target.views.finite
        numbers = sum(int(np.prod(shape)) for shape in self.shapes.values())
        self.items = len(target.rows) * (self.count or 1)
        self.size = 4 * numbers * self.items
        self.worth = self._worth(flops)
        self.store = None if option is None else self._store(identity)
        self._full = False

    def _worth(self, flops: float) -> bool:
        """Whether it has no maps, or maps that are few, and cheaper to read than to compute."""
        if all(len(shape) == 1 for shape in self.shapes.values()):
            return True
        device = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        reading = self.size / self.items / READ_BYTES_A_SECOND
        return self.size <= MOST_MAP_BYTES and reading < (
            ASKING_SECONDS + flops / FLOPS_A_SECOND[device]
        )

    def _store(self, identity: str) -> Store | None:
        given = self.option.cache not in ("auto", "off")
        if self.count is None:
            if given:
                raise ConfigError(
                    "teacher.cache", "the augmentation shows images that never come again",
                    "Give augmentation.views=4 without mixing, or teacher.cache=off.",
                )  # fmt: skip
            return None
        if given:
            place = expanded(self.option.cache, "teacher.cache")
            return Store(place, self._facts(identity), self._sources())
        folder = self.target.tables.folder
        if self.option.cache == "off" or folder is None or not self.worth:
            return None
        facts = self._facts(identity)
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        place = folder.parent / "teachers" / key
        try:
            return Store(place, facts, self._sources(), mend=True)
        except OSError as error:
            cache.done_without(place.parents[1], error)
            return None

    def _sources(self) -> Items:
        """What its outputs are of."""
        return Items(self.target.views, self.target.rows, self.count or 1)

    def _facts(self, identity: str) -> dict[str, Any]:
        """All that the outputs depend on beside their pictures."""
        views, option = self.target.views, self.option
        # What a graph does with its weights shows in its answer to a fixed picture.
        side = views.resize.size
        picture = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        probe = np.asarray(self.run(tf.constant(picture))[0]).ravel()[:16].tolist()
        form = [option.cache_format]
        if self._format() == "top_k":
            form += [option.cache_mass, option.cache_classes]
            # They decide how many classes are kept.
            form.append(self._sources().made_of(range(min(BATCH, self.items))))
        return {
            "teacher": identity, "probe": probe,
            "signals": {name: list(shape) for name, shape in self.shapes.items()},
            "format": form, "preprocessing": [views.resize.as_dict(), PIXELS],
            "augmentation": repr(views.augmentation),
            "seed": views.seed if views.augmentation is not None else None,
        }  # fmt: skip

    def _format(self) -> Any:
        if self.option.cache_format != "auto":
            return self.option.cache_format
        many = self.shapes[LOGITS][0] > DENSE_CLASSES and not self.target.manifest.multi_label
        return "top_k" if many else "float32"

    def _coding(self) -> Coding:
        form, kept = self._format(), 0
        if form == "top_k":
            first = next(self._compute(np.arange(min(BATCH, self.items))))[LOGITS]
            kept = kept_classes(first, self.option.cache_mass, self.option.cache_classes)
        return Coding(self.shapes, form, kept)

    def _compute(self, items: Any) -> Iterator[dict[str, Any]]:
        rows = self.target.rows
        yield from self._batches(self.target.views, rows[items % len(rows)], items // len(rows))

    def _batches(self, views: Any, rows: Any, numbers: Any) -> Iterator[dict[str, Any]]:
        for images in views.batches(rows, numbers, BATCH):
            found = [np.asarray(tensor) for tensor in self.run(images)]
            yield dict(zip(self.shapes, found, strict=True))

    def filled(self) -> Store | None:
        """The store with all outputs in it; None where nothing is stored.

        Raises:
            NoRoom: The disk is too small for a folder that was asked for.
        """
        if self.store is not None and not self._full:
            try:
                self.store.fill(self._coding, self._compute, self.target.tables.crew)
                self._full = True
            except (files.NoRoom, files.WriteError) as problem:
                if self.option.cache != "auto":
                    raise
                cache.done_without(self.store.folder.parents[1], problem.__cause__ or problem)
                self.store = None
        return self.store

    def table(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """Signals of `count` views of each row by name, arrays (count * rows, ...).

        The order is all rows of view 0, then of view 1, ...
        """
        ours = views.like(self.target.views) and count == self.count
        if ours and np.array_equal(rows, self.target.rows) and (store := self.filled()):
            starts = range(0, self.items, BATCH)
            made: Iterator[dict[str, Any]] = (
                store.gather(range(s, min(s + BATCH, self.items))) for s in starts
            )
        else:
            rows = np.asarray(rows, np.int64)
            numbers = np.repeat(np.arange(count), len(rows))
            made = self._batches(views, np.tile(rows, count), numbers)
        parts = ([batch[name] for name in self.shapes] for batch in made)
        return dict(zip(self.shapes, in_memory(parts, count * len(rows)), strict=True))

    def lookup(self) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        """Adds stored signals to a batch inside tf.data, by its `rows` and `views`; or None."""
        store = self.filled()
        if store is None:
            return None
        names, samples = list(self.shapes), len(self.target.rows)

        def gather(items: Any) -> list[Any]:
            found = store.gather(items)
            return [found[name] for name in names]

        def add(batch: dict[str, Any]) -> dict[str, Any]:
            items = batch["rows"] + tf.cast(batch["views"], tf.int64) * samples
            found = tf.numpy_function(gather, [items], [tf.float32] * len(names), stateful=False)
            size = batch["rows"].shape[0]
            shaped = [
                tf.ensure_shape(tensor, (size, *self.shapes[name]))
                for name, tensor in zip(names, found, strict=True)
            ]
            return {**batch, **dict(zip(names, shaped, strict=True))}

        return add

    def differences(self, number: int) -> dict[str, Any]:
        """Recompute some stored outputs.

        Args:
            number: How many; they are drawn evenly over images and views.

        Returns:
            `items`, `folder`, and by signal the largest absolute difference.

        Raises:
            TlError: Nothing is stored, or not all, or a block is damaged.
        """
        store = self.store
        if store is None or store.coding is None:
            raise TlError(
                f"teacher.cache: nothing is stored for this training"
                f"{f' in {store.folder}' if store else ''}. Train with it first."
            )
        if missing := store.missing():
            raise TlError(
                f"teacher.cache: {store.folder} lacks {len(missing)} of {store.blocks()} blocks, "
                f"block {missing[0]} first. The next training completes it."
            )
        items = np.unique(np.linspace(0, self.items - 1, min(number, self.items)).astype(np.int64))
        parts = console.staged(self._compute(items), "computing outputs", None, "batches")
        made = [store.coding.encode(batch) for batch in parts]
        now, then = store.coding.decode(np.concatenate(made)), store.gather(items)
        largest = {name: float(np.abs(now[name] - then[name]).max()) for name in self.shapes}
        return {"items": len(items), "folder": str(store.folder), "largest": largest}
