"""`strangers.npz` of a run: what tells whether a picture is unlike its validation images.

Plain arrays: `bank`, `centre`, `spread`, `threshold`, `inside` and `several`. A run may lack it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.errors import DataError
from tlcli.evaluation.strangers import MOST, NEIGHBOURS, Strangers
from tlcli.lazy import np
from tlcli.runs.archive import save_npz
from tlcli.system import files
from tlcli.system.array_file import load_npz

FILE = "strangers.npz"
REMEDY = "Restore it or train again."
SCALARS = ("threshold", "inside", "several")
NEEDED = ("bank", "centre", "spread", *SCALARS)
# Channels of an embedding; no network has nearly as many.
MOST_CHANNELS = 1 << 20


def write(folder: Path, found: Strangers) -> None:
    """Write strangers.npz of a run.

    Raises:
        WriteError: It cannot be written.
    """
    arrays = {name: np.asarray(getattr(found, name)) for name in NEEDED}
    files.write(folder / FILE, lambda file: save_npz(file, arrays), found.bank.nbytes)


def read(folder: Path) -> Strangers | None:
    """Those of a run folder, checked; None where it has none.

    Raises:
        DataError: The file is damaged, or its arrays are none of a run's.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    arrays = load_npz(path, NEEDED, REMEDY)
    if problem := wrong(arrays):
        raise DataError(str(path), problem, REMEDY)
    plain = {name: arrays[name].item() for name in SCALARS}
    return Strangers(arrays["bank"], arrays["centre"], arrays["spread"], **plain)


def wrong(arrays: Mapping[str, Any]) -> str | None:
    """What is wrong with the arrays of a file, or None."""
    if missing := [name for name in NEEDED if name not in arrays]:
        return f"lacks the array {missing[0]}"
    bank = arrays["bank"]
    if bank.ndim != 2 or bank.dtype != np.float16 or not np.isfinite(bank).all():
        return "its bank is no table of finite numbers of 16 bits"
    if not (NEIGHBOURS < len(bank) <= MOST and 1 <= bank.shape[1] <= MOST_CHANNELS):
        return f"its bank has the shape {bank.shape}"
    for name, shape in (("centre", (2,)), ("spread", (2,)), ("threshold", ()), ("inside", ())):
        one = arrays[name]
        if one.shape != shape or one.dtype != np.float64 or not np.isfinite(one).all():
            return f"its {name} is none of a run's"
    if not (arrays["spread"] > 0).all():
        return "its spread is not above 0"
    several = arrays["several"]
    return None if several.shape == () and several.dtype == np.bool_ else "its several is no truth"
