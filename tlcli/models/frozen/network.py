"""Outputs of frozen computation over finite views."""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.data.views import Views
from tlcli.models import fold
from tlcli.models.frozen.items import Items
from tlcli.models.frozen.place import images_bytes, table_bytes
from tlcli.system import console
from tlcli.system.array_file import aligned_empty
from tlcli.system.notes import EXPERT

# Images that decide whether float16 is exact enough.
SAMPLE = 256


def images_of(part: list[Any]) -> int:
    """How many images a part is of."""
    return len(part[0])


def in_memory(parts: Iterator[list[Any]], length: int) -> list[Any]:
    """Parts as whole arrays (length, ...)."""
    arrays: list[Any] = []
    start = 0
    for part in parts:
        if not arrays:
            arrays = [aligned_empty((length, *array.shape[1:]), array.dtype) for array in part]
        for whole, array in zip(arrays, part, strict=True):
            whole[start : start + len(array)] = array
        start += len(part[0])
    return arrays


class Network:
    """A frozen model of uint8 images.

    Attributes:
        model: The model.
        weights: Hash of its weights.
    """

    def __init__(self, model: Any, weights: str = "") -> None:
        """Take the model as it is; it must not be changed while this is used."""
        self.model, self.weights = model, weights or weights_hash(model.variables)

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the weights and of the answer to a fixed picture, which the graph decides."""
        shape = (1, *(side or 64 for side in self.model.inputs[0].shape[1:]))
        probe = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        digest = hashlib.sha256(self.weights.encode())
        for output in tf.nest.flatten(self.model(probe, training=False)):
            digest.update(output.numpy().tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def call(self) -> Any:
        """Images to a list of outputs; batch normalisation is folded away where that is exact."""
        inference = fold.folded(self.model) or self.model
        # One trace serves batches of every size.
        shape = (None, *self.model.inputs[0].shape[1:])
        return tf.function(
            lambda images: tf.nest.flatten(inference(images, training=False)),
            input_signature=[tf.TensorSpec(shape, tf.uint8)], autograph=False,
        )  # fmt: skip


class Frozen:
    """Runs a frozen network over views."""

    def __init__(
        self, network: Network | None, views: Views, batch: int, half: bool = False
    ) -> None:
        """See Tables.outputs."""
        self.network, self.views, self.batch, self.half = network, views, batch, half

    def size(self, length: int) -> int:
        """Bytes of its outputs for some views."""
        if self.network is None:
            return images_bytes(self.views, length)
        return table_bytes(self.network.model, length) // (2 if self.half else 1)

    def parts(self, rows: Any, count: int) -> Iterator[list[Any]]:
        """Outputs of `count` views of each row, a few at a time, arrays (batch, ...)."""
        rows = np.asarray(rows, np.int64)
        kinds = self.kinds(rows)
        what = "decoding pictures" if self.network is None else "computing frozen layers"
        parts = self._run(rows, count)
        for part in console.staged(parts, what, len(rows) * count, "images", images_of):
            yield as_kinds(part, kinds)

    def kinds(self, rows: Any) -> list[Any]:
        """Types that the outputs are kept as; none where they stay as they are."""
        if not self.half:
            return []
        few = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int))]
        return [kept_type(array) for array in in_memory(self._run(few, 1), len(few))]

    def completed(
        self, items: Items, cut: Sequence[range], known: Mapping[int, list[Any]]
    ) -> Iterator[list[Any]]:
        """Outputs of all items, a block at a time.

        A block is computed alone, so its numbers do not depend on which others are known.

        Args:
            items: All of them.
            cut: Places of each block, of the size of a batch.
            known: Outputs of some blocks, by their number.
        """
        if not known:
            yield from self.parts(items.rows, items.count)
            return
        todo = [block for number, block in enumerate(cut) if number not in known]
        chosen = np.concatenate([np.asarray(block, np.int64) for block in [*todo, range(0)]])
        fresh = self.of_items(items, chosen)
        for number in range(len(cut)):
            yield known[number] if number in known else next(fresh)

    def of_items(self, items: Items, chosen: Any) -> Iterator[list[Any]]:
        """Outputs of some items, a batch at a time, as they are computed."""
        return self._batches(*items.split(chosen))

    def _run(self, rows: Any, count: int) -> Iterator[list[Any]]:
        yield from self._batches(np.tile(rows, count), np.repeat(np.arange(count), len(rows)))

    def _batches(self, rows: Any, numbers: Any) -> Iterator[list[Any]]:
        for images in self.views.batches(rows, numbers, self.batch):
            found = [images] if self.network is None else self.network.call(images)
            yield [tensor.numpy() for tensor in found]


def as_kinds(part: list[Any], kinds: list[Any]) -> list[Any]:
    """Arrays as some types; as they are where there are none."""
    return [a.astype(k, copy=False) for a, k in zip(part, kinds, strict=True)] if kinds else part


def kept_type(array: Any) -> Any:
    """float16 where it changes a float32 array by at most a thousandth of what varies in it.

    What varies is the deviation from the mean over the images, in each channel: a head sees only
    that. Range and precision of float16 (65504, 11 bits) both show here.
    """
    if array.dtype != np.float32:
        return array.dtype
    wide = array.astype(np.float64)
    with np.errstate(over="ignore"):
        error = wide - array.astype(np.float16)
    spread = wide - wide.mean(tuple(range(wide.ndim - 1)))
    exact = np.sqrt((error**2).mean()) <= 1e-3 * np.sqrt((spread**2).mean())
    if not exact:
        shape = array.shape[1:]
        console.say(f"cache      float16 is not exact enough for outputs {shape}; float32", EXPERT)
    return np.float16 if exact else np.float32


def compute(model: Any, views: Views, rows: Any, count: int, batch: int) -> list[Any]:
    """The outputs, in memory, as they are computed."""
    network = None if model is None else Network(model)
    return in_memory(Frozen(network, views, batch).parts(rows, count), len(rows) * count)


def weights_hash(variables: Sequence[Any]) -> str:
    """sha256 of variables in order, hex."""
    digest = hashlib.sha256()
    for variable in variables:
        array = np.ascontiguousarray(variable.numpy())
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
