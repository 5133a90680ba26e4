"""Networks of strangers are built only as large as their weights are.

A few words of a configuration can ask for more memory than there is; the file that holds the
weights says how large the network may be.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
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


_bounds: list[Path] = []


def is_cut(backbone: Any) -> bool:
    """Whether options of a backbone, or of that in them, cut it: what lies behind is not stored."""
    if not isinstance(backbone, Mapping):
        return False
    return backbone.get("output_layer") is not None or is_cut(backbone.get("config"))


@contextlib.contextmanager
def built_within(*weights: Path, config: Path | None = None) -> Iterator[None]:
    """Build networks whose variables fit the weights that are stored.

    Inside of another bound that one holds, for it is about more of the network.

    Args:
        weights: The files that they are to be filled from; where there are none, the free memory
            alone is the bound.
        config: The file that describes them; config.json beside the weights where it is None.

    Raises:
        DataError: Their variables are larger, or larger than the free memory; it is told before
            any of them takes memory.
    """
    told = weights[0].with_name("config.json") if config is None else config
    if _bounds:
        yield
        return
    filled = weights and all(path.is_file() for path in weights)
    stored = sum(path.stat().st_size for path in weights) if filled else math.inf
    most, room, taken = WIDENED * stored + SPARE_BYTES, memory.free(), 0
    add_weight = keras.layers.Layer.add_weight

    def counted(layer: Any, shape: Any = None, *rest: Any, **more: Any) -> Any:
        nonlocal taken
        taken += FLOAT_BYTES * math.prod(int(side) for side in shape or ())
        if taken > min(most, room):
            bound = f"{weights[0]} holds less" if most < room else f"{megabytes(room)} are free"
            raise DataError(
                str(told),
                f"describes a network of {megabytes(taken)} or more, and {bound}",
                "Give the config.json and weights that belong together.",
            )
        return add_weight(layer, shape, *rest, **more)

    keras.layers.Layer.add_weight = counted
    _bounds.append(told)
    try:
        yield
    finally:
        _bounds.pop()
        keras.layers.Layer.add_weight = add_weight
