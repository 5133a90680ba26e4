"""The weights of a run as they are written: finite, and whole or not at all."""

import errno
import math
from pathlib import Path
from typing import Any

from tlcli.errors import TlError
from tlcli.lazy import np
from tlcli.models import weights
from tlcli.system import files


def require_finite(model: Any, path: Path) -> None:
    """Refuse to make a run of weights that are not numbers.

    Raises:
        TlError: A weight is not finite.
    """
    for variable in model.variables:
        value = np.asarray(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise TlError(
                f"{path}: {variable.path} is not finite, so this is no run. Lower "
                "optimizer.learning_rate, or set optimizer.clip_norm=1."
            )


def save(model: Any, path: Path) -> None:
    """Write weights if there is room: HDF5 cannot end a file well on a full disk."""
    needed = 100_000 + sum(4 * math.prod(v.shape) for v in model.variables)
    if files.free_bytes(path.parent) < needed:
        full = OSError(errno.ENOSPC, "No space left on device")
        raise files.write_error(path, full, needed)
    try:
        weights.save_weights(model, path)
    except OSError as error:
        raise files.write_error(path, error, needed) from error
