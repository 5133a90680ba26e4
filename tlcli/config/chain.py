"""Trainings in a row, each taught by the one before, in subfolders of the run.

The first may be the teacher's own, from a recipe (see `teacher_recipe`).
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

from tlcli.config import registry, teacher_recipe


@dataclass(frozen=True)
class Stage:
    """A training that comes before the run's own.

    Attributes:
        title: What it is called.
        folder: Where it goes.
        config: Its configuration.
        typed: Of the teacher's own the dotted keys and groups that are no defaults; else None.
    """

    title: str
    folder: Path
    config: dict[str, Any]
    typed: tuple[str, ...] | None = None


def is_chain(config: Mapping[str, Any]) -> bool:
    """Whether a run is more than one training, its control left out."""
    several = int(config.get("generations", 1)) > 1 or bool(config.get("assistants"))
    return several or teacher_recipe.comes_first(config)


def teacher_stage(config: Mapping[str, Any], folder: Path) -> Stage:
    """The training of a run's teacher.

    Args:
        config: Of the run, with teacher=recipe.
        folder: Where it goes.

    Raises:
        ConfigError: A recipe that is refused.
    """
    made, typed = teacher_recipe.training(config)
    return Stage("teacher", folder, {**made, **_ordinary(folder)}, typed)


def stages(config: Mapping[str, Any], run_dir: Path) -> tuple[list[Stage], dict[str, Any] | None]:
    """What a chain trains in turn.

    Args:
        config: Of the whole run.
        run_dir: Its folder.

    Returns:
        The trainings in folders of their own, and the configuration of the run's, which is None
        when the run is one of them. No training and the given configuration when there is no chain.

    Raises:
        ConfigError: An assistant that is no backbone, or a teacher's recipe that is refused.
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
    if teacher_recipe.comes_first(config):
        found.append(teacher_stage(config, run_dir / "teacher"))
        teacher = _trained(teacher, run_dir / "teacher")
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


def _trained(teacher: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The option for a teacher whose recipe was trained in a folder."""
    usual = registry.defaults("teacher", "run")
    return {**usual, **{k: v for k, v in teacher.items() if k in usual and k != "name"},
            "path": str(folder)}  # fmt: skip


def _ordinary(folder: Path) -> dict[str, Any]:
    """Keys of a single training in a folder."""
    return {
        "generations": 1, "assistants": [], "control": False, "resume": None,
        "run_dir": str(folder),
    }  # fmt: skip
