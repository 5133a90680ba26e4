"""Runs on disk: what a finished one holds, and how it is read back.

A checkpoint is data: JSON and weights. Reading one builds the model from the options it names and
fills in weights whose names, shapes and types are checked first.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import __version__
from tlcli.config import bundled, registry
from tlcli.config.checked import check_types
from tlcli.config.places import STARTED
from tlcli.config.train_settings import Train
from tlcli.config.upgraded import upgraded
from tlcli.contracts import GROUPS
from tlcli.data.resize import Resize
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation.metrics import probabilities
from tlcli.evaluation.scaling import Scaling
from tlcli.models import weights
from tlcli.models.bounded import built_within, is_cut
from tlcli.runs import sealed, weights_file
from tlcli.runs.facts import FORMAT, Facts
from tlcli.runs.schema import by_name, mapping, number, text, values_of
from tlcli.system import files, opened
from tlcli.system.shown import typed

WEIGHTS = sealed.WEIGHTS
REMEDY = "Restore or train again."


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
    def scaling(self) -> Scaling:
        """What calibrates the logits, fitted on validation; nothing when it was not."""
        return self.facts.scaling

    @property
    def thresholds(self) -> Any:
        """Per-class thresholds of a multi-label model."""
        return np.asarray(self.facts.thresholds or 0.5)

    def probabilities(self, logits: Any) -> Any:
        """Calibrated probabilities of logits, float64 (batch, classes)."""
        return probabilities(logits, self.multi_label, self.scaling)


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
    weights_file.require_finite(model, path)
    write_config(path, config)
    temporary = path / f".new.{WEIGHTS}"
    weights_file.save(model, temporary)
    found = sealed.hashes(path, temporary)
    metadata = {
        "format": FORMAT, "tlcli": __version__, **metadata,
        "plugins": registry.plugins_used(config), "sha256": found,
    }  # fmt: skip
    files.write_json(path / "metadata.json", metadata)
    sealed.seal(path, found)
    temporary.replace(path / WEIGHTS)
    files.sync_folder(path)


def is_finished(path: Path) -> bool:
    """Whether a folder holds a whole run."""
    return (path / WEIGHTS).is_file()


def read_run(given: str | Path) -> Checkpoint:
    """Read a finished run.

    Raises:
        DataError: No run, an unfinished one, damaged files, or options that are not installed.
    """
    path = bundled.located(given, "checkpoint")
    config, facts = read_facts(path)
    if WEIGHTS not in facts.sha256:
        raise DataError(str(path / "metadata.json"), f"names no hash of {WEIGHTS}", REMEDY)
    registry.require_plugins(facts.plugins, ("backbone", "head"), str(path))
    filled = [] if is_cut(config["backbone"]) else [path / WEIGHTS]
    bound = built_within(*filled, config=path / "config.json")
    try:
        with opened.reading(path / "config.json", REMEDY), bound:
            model = rebuild(config, {"head": facts.head}, len(facts.class_names), facts.resize)
    except ConfigError as error:
        if isinstance(error, DataError):
            raise
        problem = f"{error.where}: {error.problem}"
        raise DataError(str(path / "config.json"), problem, REMEDY) from None
    with opened.reading(path / WEIGHTS, REMEDY):
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
        remedy = f"Go on with it: tl train resume={typed(path)}."
        if not (path / "state").is_dir():
            remedy = "Train it again."
        raise DataError(str(path), f"has no {WEIGHTS}, so the run did not finish", remedy)
    config, facts = read_config(path), facts_of(path)
    sealed.check(path, facts)
    return config, facts


def facts_of(path: Path) -> Facts:
    """metadata.json of a run.

    Raises:
        DataError: It is missing or damaged.
    """
    return Facts.from_json(read_json(path / "metadata.json"), path / "metadata.json")


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """Write config.json of a run, with the folder that the run was first started in.

    A part of a run, as its teacher, was started where the run was.
    """
    started = started_in(path) or started_in(path.parent) or str(Path.cwd())
    files.write_json(path / "config.json", {**config, STARTED: started})


def started_in(path: Path) -> str | None:
    """The folder that a run was started in, as far as its config.json tells."""
    if not (path / "config.json").is_file():
        return None
    found = read_json(path / "config.json").get(STARTED)
    return found if isinstance(found, str) else None


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a run in today's form, its values of the right types.

    Raises:
        DataError: It is missing, damaged, or a value is of another type; names the key.
    """
    file = path / "config.json"
    content = upgraded(read_json(file))
    known = {key: value for key, value in content.items() if key not in GROUPS}
    try:
        check_types(Train, known)
        values_of(content, dict.fromkeys(GROUPS, mapping), GROUPS)
        for group in GROUPS:
            values_of(content[group], {"name": text}, ("name",))
    except ConfigError as error:
        raise DataError(str(file), f"{error.where}: {error.problem}", REMEDY) from None
    except ValueError as problem:
        raise DataError(str(file), str(problem), REMEDY) from None
    return content


def read_metrics(path: Path) -> dict[str, Any]:
    """metrics.json of a run: figures by split.

    Raises:
        DataError: It is missing, damaged, or a figure is no number.
    """
    file = path / "metrics.json"
    content = read_json(file)
    try:
        found: dict[str, Any] = by_name(by_name(number()))(content)
    except ValueError as problem:
        raise DataError(str(file), f"a figure {problem}", REMEDY) from None
    return found


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run.

    Raises:
        DataError: It is missing, damaged, nested too deep, too large, or holds NaN.
    """
    content = opened.read_text(path, "json")
    with opened.reading(path, REMEDY):
        found = json.loads(content, parse_constant=_refuse)
    if not isinstance(found, dict):
        raise DataError(str(path), "is no JSON object", REMEDY)
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"it holds {word}, which is no JSON")
