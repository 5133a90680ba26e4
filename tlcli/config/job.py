"""A checked training: settings and an option of each group."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config import chain, registry, teacher_recipe
from tlcli.config.checked import build_dataclass
from tlcli.config.train_settings import Train
from tlcli.contracts import GROUPS
from tlcli.contracts.augmentation import Augmentation
from tlcli.contracts.backbone import Backbone
from tlcli.contracts.data import DataSource
from tlcli.contracts.distillation import Method
from tlcli.contracts.finetune import Finetune
from tlcli.contracts.hardware import Hardware
from tlcli.contracts.head import Head
from tlcli.contracts.logger import Logger
from tlcli.contracts.loss import Loss
from tlcli.contracts.optimizer import Optimizer
from tlcli.contracts.schedule import Schedule
from tlcli.contracts.teacher import Teacher
from tlcli.errors import ConfigError, nearest


def parted(cls: type, config: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A command's own settings, and the rest: the configuration of a training it works on.

    Args:
        cls: Dataclass of the command's own keys.
        config: Composed configuration of the command.

    Raises:
        ConfigError: A key that neither has, or a value of the command's own.
    """
    names = {field.name for field in dataclasses.fields(cls)}
    theirs = {field.name for field in dataclasses.fields(Train)} | {*GROUPS}
    for key in config:
        if key not in names | theirs:
            remedy = nearest(key, names | theirs)
            raise ConfigError(key, "there is no such key", remedy)
    own = build_dataclass(cls, {k: v for k, v in config.items() if k in names}, "")
    return own, {k: v for k, v in config.items() if k not in names}


@dataclass(frozen=True)
class TrainJob:
    """A checked training: settings, an option object a group, the plain values they came from.

    Attributes:
        config: Those plain values.
        reasons: Why `auto` chose a value, by group or dotted key; empty where nothing was chosen.
    """

    settings: Train
    data: DataSource
    augmentation: Augmentation
    backbone: Backbone
    head: Head
    finetune: Finetune
    loss: Loss
    distillation: Method
    teacher: Teacher
    optimizer: Optimizer
    schedule: Schedule
    hardware: Hardware
    logger: Logger
    config: Mapping[str, Any]
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)


def distrusted(config: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """A configuration in which nothing is trusted that a person did not type just now.

    Args:
        config: Of a training, perhaps from a file.
        typed: Dotted keys and groups of this command line.
    """

    def plain(value: Any, place: str) -> Any:
        if isinstance(value, Mapping):
            inner = {key: plain(v, f"{place}.{key}" if place else str(key))
                     for key, v in value.items()}  # fmt: skip
            if inner.get("trust") and f"{place}.trust" not in typed:
                inner["trust"] = False
            return inner
        if isinstance(value, (list, tuple)):
            return [plain(v, place) for v in value]
        return value

    return dict(plain(config, ""))


def train_job(config: Mapping[str, Any]) -> TrainJob:
    """Check a composed training configuration.

    Raises:
        ConfigError: The first mistake found.
    """
    config = teacher_recipe.settled(config)
    own = {k: v for k, v in config.items() if k not in GROUPS}
    settings = build_dataclass(Train, own, "")
    built = {group: registry.build(group, config.get(group) or {}) for group in GROUPS}
    # A checkpoint must not need the earlier run to be rebuilt.
    resolved = built["backbone"].resolved()
    if resolved is not built["backbone"]:
        built["backbone"] = resolved
        values = {**config["backbone"], **dataclasses.asdict(built["backbone"])}
        config = {**config, "backbone": values}
    job = TrainJob(settings=settings, config=config, **built)
    _check_together(job)
    if teacher_recipe.comes_first(config):
        _check_teacher(config)
    return job


def _check_teacher(config: Mapping[str, Any]) -> None:
    """Refuse a teacher's recipe that could not be trained, before anything else is."""
    stage = chain.teacher_stage(config, Path("teacher"))
    try:
        train_job(stage.config)
    except ConfigError as error:
        place, given = f"teacher.overrides.{error.where}", config["teacher"]["config"]
        problem = error.problem + (f" (in the recipe {given})" if given else "")
        remedy = f"Give {place}=VALUE." if problem.startswith("no value") else error.remedy
        raise type(error)(place, problem, remedy) from None


def _check_together(job: TrainJob) -> None:
    """Refuse options that contradict each other."""
    needs_teacher = job.distillation.needs_teacher
    has_teacher = job.teacher.is_teacher
    settings = job.settings
    if settings.generations > 1 and not needs_teacher:
        raise ConfigError(
            "generations", "each learns from the one before, and the method has no teacher",
            "Give distillation=kd, or generations=1.",
        )  # fmt: skip
    if settings.assistants and not has_teacher:
        raise ConfigError(
            "assistants", "they stand between a teacher and the student, and there is no teacher",
            "Give teacher=run teacher.path=RUN, or assistants=[].",
        )  # fmt: skip
    if needs_teacher and not has_teacher and settings.generations == 1:
        raise ConfigError(
            "teacher", f"distillation={job.config['distillation']['name']} learns from a teacher, "
            "and there is none", "Give teacher=run teacher.path=RUN, or distillation=none."
        )  # fmt: skip
    if has_teacher and not needs_teacher:
        raise ConfigError(
            "distillation", "there is a teacher that nothing learns from",
            "Give distillation=kd, or teacher=none.",
        )  # fmt: skip
    for logger in job.logger.parts:
        logger.require_installed()
    if settings.control and not job.distillation.distils:
        raise ConfigError("control", "there is no teacher to compare with", "Give control=false.")
