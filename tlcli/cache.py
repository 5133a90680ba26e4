"""Outputs of frozen computation, computed once over finite views and kept.

A table's key is a hash of all that its numbers depend on: weights and graph of the model that made
it, the views, the samples. It lies in the cache folder as .npy files with their hashes, so another
run, another head or another learning rate finds it.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli import fold
from tlcli.pipeline import Views
from tlcli.resize import PIXELS

log = logging.getLogger(__name__)


def free_memory() -> int:
    """Bytes of memory that are free for use."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    return 2 << 30


def table_bytes(model: Any, samples: int) -> int:
    """Size of a model's outputs over some samples, float32; of uint8 inputs where model is None."""
    total = 0
    for tensor in model.outputs:
        sides = [int(side or 1) for side in tensor.shape[1:]]
        total += samples * int(np.prod(sides)) * np.dtype(tensor.dtype).itemsize
    return total


def images_bytes(views: Views, samples: int) -> int:
    """Size of the views themselves, uint8."""
    return samples * views.resize.size**2 * 3


class Tables:
    """Reads and writes tables in a folder.

    Attributes:
        folder: Where they lie, or None to keep them in memory alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def outputs(self, model: Any, views: Views, rows: Any, count: int, batch: int) -> list[Any]:
        """Outputs of a frozen model for `count` views of each row.

        Args:
            model: keras.Model of uint8 images, or None for the images themselves.
            views: Finite views.
            rows: Manifest rows (samples,).
            count: Views of each row.
            batch: Images at a time.

        Returns:
            Arrays (count * samples, ...): all rows of view 0, then of view 1, ...
        """
        key = table_key(model, views, rows, count) if self.folder else ""
        if self.folder and (found := self._read(key)) is not None:
            return found
        arrays = compute(model, views, rows, count, batch)
        if self.folder:
            self._write(key, arrays)
        return arrays

    def _read(self, key: str) -> list[Any] | None:
        assert self.folder
        place = self.folder / key
        try:
            hashes = json.loads((place / "table.json").read_text(encoding="utf-8"))["sha256"]
            arrays = []
            for index, expected in enumerate(hashes):
                path = place / f"{index}.npy"
                if _sha256(path) != expected:
                    log.warning("cache: %s is damaged; it is computed again", path)
                    return None
                arrays.append(np.load(path, allow_pickle=False))
        except (OSError, ValueError, KeyError):
            return None
        log.info("cache: outputs of frozen layers found in %s", place)
        return arrays

    def _write(self, key: str, arrays: Sequence[Any]) -> None:
        assert self.folder
        size = sum(array.nbytes for array in arrays)
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < 2 * size + (256 << 20):
            log.warning("cache: %d MB do not fit on the disk; kept in memory", size >> 20)
            return
        made = Path(tempfile.mkdtemp(dir=self.folder, prefix=".new-"))
        try:
            hashes = []
            for index, array in enumerate(arrays):
                np.save(made / f"{index}.npy", array)
                hashes.append(_sha256(made / f"{index}.npy"))
            (made / "table.json").write_text(json.dumps({"sha256": hashes}), encoding="utf-8")
            shutil.rmtree(self.folder / key, ignore_errors=True)
            os.replace(made, self.folder / key)
        except OSError as error:
            log.warning("cache: not written (%s)", error.strerror)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def compute(model: Any, views: Views, rows: Any, count: int, batch: int) -> list[Any]:
    """The outputs, in memory; batch normalisation is folded away where that is exact."""
    inference = None if model is None else (fold.folded(model) or model)
    run = None
    if inference is not None:
        run = tf.function(lambda images: inference(images, training=False), reduce_retracing=True)
    rows = np.asarray(rows, np.int64)
    repeated, numbers = np.tile(rows, count), np.repeat(np.arange(count), len(rows))
    arrays: list[Any] = []
    start = 0
    for images in views.batches(repeated, numbers, batch):
        found = [images] if run is None else tf.nest.flatten(run(images))
        if not arrays:
            arrays = [np.empty((len(repeated), *t.shape[1:]), t.numpy().dtype) for t in found]
        for array, tensor in zip(arrays, found, strict=True):
            array[start : start + len(images)] = tensor.numpy()
        start += len(images)
    return arrays


def table_key(model: Any, views: Views, rows: Any, count: int) -> str:
    """Hash of everything a table depends on."""
    digest = hashlib.sha256()
    augmentation = views.augmentation
    facts = [views.manifest.fingerprint, views.resize.as_dict(), count, repr(augmentation)]
    facts += [views.seed if augmentation is not None else 0, "tl-table-1", PIXELS]
    digest.update(json.dumps(facts, default=str).encode())
    digest.update(np.ascontiguousarray(rows, np.int64).tobytes())
    if model is not None:
        digest.update(weights_hash(model.variables).encode())
        # What the graph does with them shows in its answer to a fixed picture.
        side = views.resize.size
        probe = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        for output in tf.nest.flatten(model(probe, training=False)):
            digest.update(output.numpy().tobytes())
    return digest.hexdigest()[:32]


def weights_hash(variables: Sequence[Any]) -> str:
    """sha256 of variables in order, hex."""
    digest = hashlib.sha256()
    for variable in variables:
        array = np.ascontiguousarray(variable.numpy())
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(file.read()).hexdigest()
        )
