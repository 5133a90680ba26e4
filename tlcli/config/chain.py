"""Trainings in a row, each taught by the one before, in subfolders of the run.

Assistants are networks between teacher and student (Mirzadeh et al. 2020, arXiv:1902.03393).
Generations are students of one kind, the first taught by the teacher or by the labels alone
(born-again networks, Furlanello et al. 2018, arXiv:1805.04770); the run is the one of them that is
best on validation (see `generations`).
All have the run's seed, for it decides the split, and so also its initial weights. The paper's
ensemble of generations is a teacher: teacher=ensemble
teacher.runs=[RUN/generation_1,RUN/generation_2].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config import registry


@dataclass(frozen=True)
class Stage:
    """A training that comes before the run's own.

    Attributes:
        title: What it is called.
        folder: Where it goes.
        config: Its configuration.
    """

    title: str
    folder: Path
    config: dict[str, Any]


def stages(config: Mapping[str, Any], run_dir: Path) -> tuple[list[Stage], dict[str, Any] | None]:
    """What a chain trains in turn.

    Args:
        config: Of the whole run.
        run_dir: Its folder.

    Returns:
        The trainings in folders of their own, and the configuration of the run's, which is None
        when the run is one of them. No training and the given configuration when there is no chain.

    Raises:
        ConfigError: An assistant that is no backbone.
    """
    plan = [
        (f"assistant_{i}", registry.overridden("backbone", config["backbone"], entry,
                                              f"assistants[{i - 1}]"))
        for i, entry in enumerate(config["assistants"], 1)
    ]  # fmt: skip
    count = int(config["generations"])
    if count > 1:
        plan += [(f"generation_{i}", config["backbone"]) for i in range(1, count + 1)]
    found, teacher = [], dict(config["teacher"])
    # What is asked of the teacher is asked of those in its place.
    kept = {k: teacher[k] for k in ("minimum_accuracy", "cache") if k in teacher}
    for name, backbone in plan:
        folder = run_dir / name
        values = {**config, "backbone": backbone, "teacher": teacher, **_ordinary(folder)}
        if teacher["name"] == "none":
            values = without_teacher(values, folder)
        found.append(Stage(name.replace("_", " "), folder, values))
        teacher = {**registry.defaults("teacher", "run"), **kept, "path": str(folder)}
    own = {**config, "teacher": teacher, "generations": 1, "assistants": []}
    return found, own if count == 1 else None


def without_teacher(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same training without its teacher and its method.

    Args:
        config: Of a distilled run.
        folder: Where it goes.
    """
    nothing = {group: registry.defaults(group, "none") for group in ("distillation", "teacher")}
    return {**config, **nothing, **_ordinary(folder)}


def _ordinary(folder: Path) -> dict[str, Any]:
    """Keys of a single training in a folder."""
    return {
        "generations": 1, "assistants": [], "control": False, "resume": None,
        "run_dir": str(folder),
    }  # fmt: skip
