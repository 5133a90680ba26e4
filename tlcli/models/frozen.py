"""Outputs of frozen computation, computed once over finite views and kept.

A table's key is a hash of all that its numbers depend on: weights and graph of the model that made
it, the views, the samples. It lies in the cache folder as .npy files with their hashes, so another
run, another head or another learning rate finds it.
"""

import functools
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.config.train_settings import Train
from tlcli.data.resize import PIXELS
from tlcli.data.views import Views
from tlcli.errors import TlError
from tlcli.models import fold, table_file
from tlcli.system import files

log = logging.getLogger(__name__)
SPARE_BYTES = 256 << 20
# Outputs above this are kept as float16 by cache_format=auto. A fixed number, not a share of the
# free memory, so that the same command gives the same weights anywhere.
EXACT_BYTES = 1 << 30
# Images that decide whether float16 is exact enough.
SAMPLE = 256


def free_memory() -> int:
    """Bytes of memory that are free for use."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return 2 << 30


def table_bytes(model: Any, samples: int) -> int:
    """Size of a model's outputs over some samples."""
    total = 0
    for tensor in model.outputs:
        sides = [int(side or 1) for side in tensor.shape[1:]]
        total += samples * int(np.prod(sides)) * _itemsize(tensor.dtype)
    return total


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def activation_bytes(model: Any) -> int:
    """Size of all layers' outputs for one image, float32."""
    shapes = [tensor.shape for layer in model.layers for tensor in tf.nest.flatten(layer.output)]
    return 4 * sum(int(np.prod([int(side or 1) for side in shape[1:]])) for shape in shapes)


def images_bytes(views: Views, samples: int) -> int:
    """Size of the views themselves, uint8."""
    return samples * views.resize.size**2 * 3


@dataclass(frozen=True)
class Place:
    """How outputs over some views are kept.

    Attributes:
        mapped: Whether they stay on disk, memory-mapped, instead of in memory.
        half: Whether float16 is wanted, where it is exact enough.
        size: Bytes.
    """

    mapped: bool
    half: bool
    size: int

    def __str__(self) -> str:
        kind = ", float16 if exact enough" if self.half else ""
        where = "on disk" if self.mapped else "in memory"
        return f"{self.size / 1e6:,.1f} MB {where}{kind}"


def place_of(settings: Train, model: Any, views: Views, samples: int) -> Place | None:
    """How a model's outputs over some views are kept; None to compute them at each use.

    Args:
        settings: Of the training.
        model: Frozen model, or None for the images themselves.
        views: The views.
        samples: Images times views.
    """
    mode = settings.cache
    if mode in ("off", False):
        return None
    size = images_bytes(views, samples) if model is None else table_bytes(model, samples)
    half = settings.cache_format == "float16" or (
        settings.cache_format == "auto" and size > EXACT_BYTES)  # fmt: skip
    half = half and model is not None and keras.config.dtype_policy().name == "float32"
    size //= 2 if half else 1
    if mode != "disk" and size <= settings.cache_memory * free_memory():
        return Place(False, half, size)
    # Decoded images are many times the size of their files: kept on disk only when asked for.
    return Place(True, half, size) if mode == "disk" or (mode != "ram" and model) else None


class NoRoom(TlError):  # noqa: N818 - named after what is missing
    """The disk is too small for a table."""


class Tables:
    """Reads and writes tables in a folder.

    Attributes:
        folder: Where they lie, or None to keep them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
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
        place = self.folder / table_key(network, views, rows, count, half)
        if (found := self._read(place, mapped)) is not None:
            log.info("cache: outputs of frozen layers found in %s", place)
            return found
        try:
            check_room(self.folder, made.size(len(rows) * count))
            kept = write_table(place, made.parts(rows, count), len(rows) * count)
            found = self._read(kept, mapped)
        except (NoRoom, OSError) as error:
            if mapped:
                raise error if isinstance(error, NoRoom) else NoRoom(str(error)) from error
            reason = getattr(error, "strerror", None) or error
            log.warning("cache: not written (%s); kept in memory", reason)
        return found or in_memory(made.parts(rows, count), len(rows) * count)

    def _read(self, place: Path, mapped: bool) -> list[Any] | None:
        try:
            return table_file.read(place, mapped)
        except table_file.DamagedError as path:
            log.warning("cache: %s is damaged; it is computed again", path)
            return None


def check_room(folder: Path, size: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        NoRoom: It is too small.
    """
    free = files.free_bytes(folder)
    if size + SPARE_BYTES > free:
        raise NoRoom(
            f"{size >> 20} MB of outputs and {SPARE_BYTES >> 20} MB to spare do not fit in "
            f"{folder}, which has {free >> 20} MB free"
        )


def write_table(place: Path, parts: Iterator[list[Any]], length: int) -> Path:
    """Write parts as they come into a folder; gives it."""
    with table_file.Writer(place.parent, place.name, length) as writer:
        for part in parts:
            writer.add(part)
        return writer.keep()


def in_memory(parts: Iterator[list[Any]], length: int) -> list[Any]:
    """Parts as whole arrays (length, ...)."""
    arrays: list[Any] = []
    start = 0
    for part in parts:
        if not arrays:
            arrays = [np.empty((length, *array.shape[1:]), array.dtype) for array in part]
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
        kinds: list[Any] = []
        if self.half:
            few = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int))]
            kinds = [kept_type(array) for array in in_memory(self._run(few, 1), len(few))]
        for part in self._run(rows, count):
            yield [a.astype(k, copy=False) for a, k in zip(part, kinds, strict=True)] if (
                kinds) else part  # fmt: skip

    def _run(self, rows: Any, count: int) -> Iterator[list[Any]]:
        repeated, numbers = np.tile(rows, count), np.repeat(np.arange(count), len(rows))
        for images in self.views.batches(repeated, numbers, self.batch):
            found = [images] if self.network is None else self.network.call(images)
            yield [tensor.numpy() for tensor in found]


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
        log.info("cache: float16 is not exact enough for outputs %s; float32", array.shape[1:])
    return np.float16 if exact else np.float32


def compute(model: Any, views: Views, rows: Any, count: int, batch: int) -> list[Any]:
    """The outputs, in memory, as they are computed."""
    network = None if model is None else Network(model)
    return in_memory(Frozen(network, views, batch).parts(rows, count), len(rows) * count)


def table_key(
    network: Network | None, views: Views, rows: Any, count: int, half: bool = False
) -> str:
    """Hash of everything a table depends on."""
    digest = hashlib.sha256()
    augmentation = views.augmentation
    facts = [views.manifest.fingerprint, views.resize.as_dict(), count, repr(augmentation)]
    facts += [views.seed if augmentation is not None else 0, "tl-table-3", PIXELS, half]
    digest.update(json.dumps(facts, default=str).encode())
    digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
    if network is not None:
        digest.update(network.identity.encode())
    return digest.hexdigest()[:32]


def weights_hash(variables: Sequence[Any]) -> str:
    """sha256 of variables in order, hex."""
    digest = hashlib.sha256()
    for variable in variables:
        array = np.ascontiguousarray(variable.numpy())
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
