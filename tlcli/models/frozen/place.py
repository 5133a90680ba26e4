"""How outputs of frozen computation are kept: their size, and whether memory can hold them."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.config.train_settings import Train
from tlcli.data.views import Views
from tlcli.system.memory import Budget

# Outputs above this are kept as float16 by cache_format=auto. A fixed number, not a share of the
# free memory, so that the same command gives the same weights anywhere.
EXACT_BYTES = 1 << 30


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

    @property
    def memory(self) -> int:
        """Bytes of memory that they take."""
        return 0 if self.mapped else self.size

    def __str__(self) -> str:
        kind = ", float16 if exact enough" if self.half else ""
        where = "on disk" if self.mapped else "in memory"
        return f"{self.size / 1e6:,.1f} MB {where}{kind}"


def place_of(
    settings: Train, model: Any, views: Views, samples: int, budget: Budget
) -> Place | None:
    """How a model's outputs over some views are kept; None to compute them at each use.

    Args:
        settings: Of the training.
        model: Frozen model, or None for the images themselves.
        views: The views.
        samples: Images times views.
        budget: Memory that is left for them.
    """
    mode = settings.cache
    if mode in ("off", False):
        return None
    size = images_bytes(views, samples) if model is None else table_bytes(model, samples)
    half = settings.cache_format == "float16" or (
        settings.cache_format == "auto" and size > EXACT_BYTES)  # fmt: skip
    half = half and model is not None and keras.config.dtype_policy().name == "float32"
    size //= 2 if half else 1
    if mode != "disk" and size <= budget.left:
        return Place(False, half, size)
    # Decoded images are many times the size of their files: kept on disk only when asked for.
    return Place(True, half, size) if mode == "disk" or (mode != "ram" and model) else None
