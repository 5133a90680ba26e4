"""A run or an export as a model that is served."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.commands import export_namer
from tlcli.commands.namer import Namer, answer
from tlcli.errors import ConfigError
from tlcli.evaluation.metrics import probabilities
from tlcli.export import manifest
from tlcli.runs import sealed
from tlcli.serve.model import Model
from tlcli.system import files
from tlcli.system.shown import shown

# Files of a run by which a new version is known, and those that make the version.
RUN_FILES = ("metadata.json", sealed.WEIGHTS)
FREE = 4096


def opened(name: str, folder: Path, max_pixels: int) -> Model:
    """The model of a folder, its first step done.

    Args:
        name: By which clients ask for it.
        folder: A run or an export.
        max_pixels: Above which pictures are refused, whatever the run says.

    Raises:
        ConfigError: The folder is neither.
        DataError: It is damaged.
    """
    found = of_export if manifest.is_export(folder) else of_run
    model = found(name, folder, max_pixels)
    model.look(np.zeros((1, model.side, model.side, 3), np.uint8))
    return model


def is_model(folder: Path) -> bool:
    """Whether a folder is a whole run or an export."""
    return manifest.is_export(folder) or stamp(folder) is not None


def stamp(folder: Path) -> Any:
    """What changes with the content of a folder, soon to be had; None while it is not whole."""
    names = (manifest.FILE,) if manifest.is_export(folder) else RUN_FILES
    try:
        facts = [(folder / name).stat() for name in names]
    except OSError:
        return None
    return [(one.st_ino, one.st_size, one.st_mtime_ns) for one in facts]


def version(folder: Path) -> str:
    """A version by content."""
    names = (manifest.FILE,) if manifest.is_export(folder) else RUN_FILES
    whole = "".join(files.sha256(folder / name) for name in names)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def of_export(name: str, folder: Path, max_pixels: int) -> Model:
    """An export; TensorFlow is imported by those of its own formats alone."""
    number = version(folder)
    found, known, look = export_namer.opened(folder, "none")
    namer = export_namer.namer(found, known, look)
    # Its numbers are scaled by what a batch holds: alone a picture has the answer of no other.
    alone = found.format == "onnx" and found.quantize == "dynamic"
    return model(
        namer, found.facts, name=name, version=number, format=found.format,
        max_pixels=min(max_pixels, found.max_pixels), most=1 if alone else FREE, heat=None,
    )  # fmt: skip


def of_run(name: str, folder: Path, max_pixels: int) -> Model:
    """A run, which can explain its answers."""
    # Not above: exports need no TensorFlow.
    from tlcli.commands import run_heat, run_namer
    from tlcli.commands.namer import limit_of

    if not (folder / "config.json").is_file():
        raise ConfigError("models", f"{shown(folder)} is no run and no export",
                          "Give a folder of tl train or tl export.")  # fmt: skip
    number = version(folder)
    namer, found = run_namer.of_run(str(folder), "none")
    limit = limit_of(found.config.get("data"))
    return model(
        namer, found.facts, name=name, version=number, format="keras",
        max_pixels=min(max_pixels, limit), most=FREE, heat=run_heat.heater(found.model),
    )  # fmt: skip


def model(namer: Namer, facts: Any, **own: Any) -> Model:
    """What names pictures, as the server takes it."""
    return Model(
        class_names=namer.class_names, side=facts.resize.size, multi_label=namer.multi_label,
        told=namer.told, read=namer.read, look=namer.look(True),
        shares=partial(_shares, namer), row=partial(answer, namer), **own,
    )  # fmt: skip


def _shares(namer: Namer, logits: Any) -> Any:
    return probabilities(logits, namer.multi_label, namer.scaling)
