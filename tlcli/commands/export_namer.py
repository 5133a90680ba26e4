"""A namer that is an export: Pillow and NumPy show it pictures, its runtime answers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.commands.namer import Namer
from tlcli.commands.sharing import identity
from tlcli.config import bundled
from tlcli.config.settings import Predict
from tlcli.data import pixels
from tlcli.data.named import at_hand
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.evaluation.strangers import Strangers
from tlcli.export import manifest
from tlcli.export.contract import Engine, format_of
from tlcli.export.manifest import Manifest
from tlcli.lazy import np
from tlcli.runs import strangers
from tlcli.system import console
from tlcli.system.chatter import silent
from tlcli.system.remote import StoreError

# From uint8 images (batch, side, side, 3) to logits, and how strange each is or None.
Look = Callable[[Any], tuple[Any, Any]]


def opened(folder: Path, tta: str) -> tuple[Manifest, Strangers | None, Look]:
    """An export, what tells strangers if it knows them, and what runs it.

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
        known = strangers.read(folder)
        return found, known, looking(kind.engine(folder), known, folder)


def looking(engine: Engine, known: Strangers | None, folder: Path) -> Look:
    """What an export says of images, with how strange they are as far as it knows.

    Raises:
        DataError: What tells strangers is another network's; when it is asked.
    """

    def look(images: Any) -> tuple[Any, Any]:
        found = engine(np.asarray(images))
        if known is None:
            return found["logits"], None
        embedding = found.get("embedding")
        if embedding is None or embedding.shape[1:] != known.bank.shape[1:]:
            raise DataError(
                str(folder / strangers.FILE), "is another network's", "Export the run again."
            )
        return found["logits"], known.scores(found["logits"], embedding)

    return look


def namer_of(settings: Predict) -> Namer:
    """The export that is named."""
    folder = bundled.located(str(settings.checkpoint), "checkpoint")
    return replace(namer(*opened(folder, settings.tta)), identity=identity(folder))


def namer(found: Manifest, known: Strangers | None, look: Look) -> Namer:
    """What names pictures by an export; see `opened`."""
    facts = found.facts

    def read(given: str | bytes) -> Any:
        try:
            return pixels.view(at_hand(given), facts.resize, found.max_pixels)
        except StoreError:  # of no picture's making
            raise
        except TlError as problem:
            return problem

    return Namer(
        lambda _: look, read, facts.class_names, facts.scaling, facts.conformal, known,
        facts.multi_label, np.asarray(facts.thresholds or 0.5), facts.abstain_below,
    )  # fmt: skip
