"""Runs on disk: what a finished one holds, and how it is read back.

A checkpoint is data: JSON and weights. Reading one builds the model from the options it names and
fills in weights whose names, shapes and types are checked first.
"""

import errno
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import __version__
from tlcli.config import registry
from tlcli.data.resize import Resize
from tlcli.errors import DataError
from tlcli.models import weights
from tlcli.models.bounded import built_within
from tlcli.runs.facts import FORMAT, Facts
from tlcli.system import files
from tlcli.system.files import expanded

WEIGHTS = "model.weights.h5"


@dataclass
class Checkpoint:
    """A finished run, ready to classify.

    Attributes:
        path: The run folder.
        config: Its configuration, plain values.
        facts: Its metadata.json.
        model: uint8 images to float32 logits.
    """

    path: Path
    config: Mapping[str, Any]
    facts: Facts
    model: Any

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in index order."""
        return self.facts.class_names

    @property
    def resize(self) -> Resize:
        """How pictures become squares."""
        return self.facts.resize

    @property
    def multi_label(self) -> bool:
        """Whether a picture may have several classes."""
        return self.facts.multi_label

    @property
    def temperature(self) -> float:
        """Divisor of the logits, fitted on validation; 1 when it was not."""
        return float(self.facts.temperature or 1.0)

    @property
    def thresholds(self) -> Any:
        """Per-class thresholds of a multi-label model."""
        return np.asarray(self.facts.thresholds or 0.5)


def write_run(
    path: Path, model: Any, config: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    """Write a finished run; the weights come last, so their presence says it is whole.

    Args:
        path: The run folder.
        model: Its network.
        config: Its configuration, plain values.
        metadata: Its `Facts` as JSON has them; those that this function knows are added.
    """
    files.write_json(path / "config.json", config)
    temporary = path / f".new.{WEIGHTS}"
    _save_weights(model, temporary)
    metadata = {
        "format": FORMAT, "tlcli": __version__, **metadata,
        "plugins": registry.plugins_used(config),
        "sha256": {WEIGHTS: files.sha256(temporary)},
    }  # fmt: skip
    files.write_json(path / "metadata.json", metadata)
    temporary.replace(path / WEIGHTS)
    files.sync_folder(path)


def _save_weights(model: Any, path: Path) -> None:
    """Write weights if there is room: HDF5 cannot end a file well on a full disk."""
    needed = 100_000 + sum(4 * math.prod(v.shape) for v in model.variables)
    if files.free_bytes(path.parent) < needed:
        full = OSError(errno.ENOSPC, "No space left on device")
        raise files.write_error(path, full, needed)
    try:
        weights.save_weights(model, path)
    except OSError as error:
        raise files.write_error(path, error, needed) from error


def is_finished(path: Path) -> bool:
    """Whether a folder holds a whole run."""
    return (path / WEIGHTS).is_file()


def read_run(given: str | Path) -> Checkpoint:
    """Read a finished run.

    Raises:
        DataError: No run, an unfinished one, damaged files, or options that are not installed.
    """
    path = expanded(given, "checkpoint")
    config, facts = read_facts(path)
    if files.sha256(path / WEIGHTS) != facts.sha256.get(WEIGHTS):
        raise DataError(
            str(path / WEIGHTS), "is not the file that was written", "Restore or train again."
        )
    for group in ("backbone", "head"):
        if group not in config:
            raise DataError(str(path), f"lacks {group!r}", "Restore or train again.")
    registry.require_plugins(facts.plugins, ("backbone", "head"), str(path))
    with built_within(path / WEIGHTS):
        model = rebuild(config, {"head": facts.head}, len(facts.class_names), facts.resize)
    weights.load_exact(model, path / WEIGHTS)
    return Checkpoint(path, config, facts, model)


def rebuild(
    config: Mapping[str, Any], metadata: Mapping[str, Any], classes: int, resize: Resize
) -> Any:
    """The untrained model that a run's configuration describes.

    Args:
        config: Plain values.
        metadata: Its `head` is one that was borrowed from a teacher; other keys do not matter.
        classes: Logits.
        resize: Its size is the side of the input.
    """
    import keras

    from tlcli.models.student import build_student

    keras.config.set_dtype_policy("float32")
    head = head_option(config, metadata.get("head"))
    backbone = registry.build("backbone", config["backbone"])
    return build_student(backbone, head, classes, resize).model


def head_option(config: Mapping[str, Any], borrowed: Mapping[str, Any] | None) -> Any:
    """The head of a run: its own, or one that it borrowed from its teacher."""
    from tlcli.models import borrowed_head

    if borrowed:
        return borrowed_head.from_facts(borrowed)
    return registry.build("head", config["head"])


def read_facts(path: Path) -> tuple[dict[str, Any], Facts]:
    """config.json and metadata.json of a finished run.

    Raises:
        DataError: There is no such run, it did not finish, or a file is damaged.
    """
    if not path.is_dir():
        raise DataError(str(path), "is no run folder", "Give the folder of a finished run.")
    if not is_finished(path):
        remedy = "Go on with it: tl train resume=" + str(path) + "."
        if not (path / "state").is_dir():
            remedy = "Train it again."
        raise DataError(str(path), f"has no {WEIGHTS}, so the run did not finish", remedy)
    return read_json(path / "config.json"), facts_of(path)


def facts_of(path: Path) -> Facts:
    """metadata.json of a run.

    Raises:
        DataError: It is missing or damaged.
    """
    return Facts.from_json(read_json(path / "metadata.json"), path / "metadata.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(str(path), "is missing", "Restore or train again.") from None
    except (OSError, ValueError) as error:
        raise DataError(str(path), f"cannot be read ({error})", "Restore or train again.") from None
    if not isinstance(content, dict):
        raise DataError(str(path), "is no JSON object", "Restore or train again.")
    return content


def finite(value: float) -> bool:
    """Whether a figure is a number."""
    return math.isfinite(value)
