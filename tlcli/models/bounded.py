"""Networks of strangers are built only as large as their weights are.

A few words of a configuration can ask for more memory than there is; the file that holds the
weights says how large the network may be.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlcli.errors import DataError
from tlcli.lazy import keras
from tlcli.system import memory
from tlcli.system.files import megabytes

# What a network may have beside its stored weights, as constants, and half precision in the file.
SPARE_BYTES = 64 << 20
WIDENED = 2
FLOAT_BYTES = 4


@contextlib.contextmanager
def built_within(weights: Path) -> Iterator[None]:
    """Build networks whose variables fit the weights that are stored.

    Args:
        weights: The file that they are to be filled from.

    Raises:
        DataError: Their variables are larger, or larger than the free memory; it is told before
            any of them takes memory.
    """
    most = WIDENED * weights.stat().st_size + SPARE_BYTES if weights.is_file() else math.inf
    room, taken = memory.free(), 0
    add_weight = keras.layers.Layer.add_weight

    def counted(layer: Any, shape: Any = None, *rest: Any, **more: Any) -> Any:
        nonlocal taken
        taken += FLOAT_BYTES * math.prod(int(side) for side in shape or ())
        if taken > min(most, room):
            bound = f"{weights} holds less" if most < room else f"{megabytes(room)} are free"
            raise DataError(
                str(weights.parent / "config.json"),
                f"describes a network of {megabytes(taken)} or more, and {bound}",
                "Give the run's own config.json and weights.",
            )
        return add_weight(layer, shape, *rest, **more)

    keras.layers.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = add_weight
