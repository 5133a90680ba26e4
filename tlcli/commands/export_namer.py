"""A namer that is an export: Pillow and NumPy show it pictures, its runtime answers."""

from pathlib import Path
from typing import Any

from tlcli.commands.namer import Namer
from tlcli.commands.sharing import identity
from tlcli.config.settings import Predict
from tlcli.data import pixels
from tlcli.errors import ConfigError, TlError
from tlcli.export import manifest
from tlcli.export.contract import Engine, format_of
from tlcli.export.manifest import Manifest
from tlcli.lazy import np
from tlcli.system import console
from tlcli.system.chatter import silent
from tlcli.system.files import expanded


def opened(folder: Path, tta: str) -> tuple[Manifest, Engine]:
    """An export and what runs it.

    Raises:
        DataError: A file of it is damaged.
        ConfigError: Its runtime is not installed, or views are to be averaged.
    """
    found = manifest.read(folder)
    kind = format_of(found.format)
    kind.require(kind.runs)
    if tta != "none":
        raise ConfigError("tta", "an export takes each picture as it is", "Leave it out.")
    with console.Stage("opening the export"), silent():
        return found, kind.engine(folder)


def namer_of(settings: Predict) -> Namer:
    """The export that is named."""
    found, engine = opened(expanded(str(settings.checkpoint), "checkpoint"), settings.tta)
    facts = found.facts

    def read(path: str) -> Any:
        try:
            return pixels.view(path, facts.resize, found.max_pixels)
        except TlError as problem:
            return problem

    return Namer(
        lambda _: lambda images: (engine(images)[0], None), read, facts.class_names, facts.scaling,
        facts.conformal, None, facts.multi_label, np.asarray(facts.thresholds or 0.5),
        facts.abstain_below, identity(expanded(str(settings.checkpoint), "checkpoint")),
    )  # fmt: skip
