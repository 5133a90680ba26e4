"""A checked training: settings and an option of each group."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config import registry
from tlcli.config.checked import build_dataclass
from tlcli.config.settings import Train, Verify
from tlcli.contracts import GROUPS
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
    data: Any
    augmentation: Any
    backbone: Any
    head: Any
    finetune: Any
    loss: Any
    distillation: Any
    teacher: Any
    optimizer: Any
    schedule: Any
    hardware: Any
    config: Mapping[str, Any]
    reasons: Mapping[str, str] = dataclasses.field(default_factory=dict)


def train_job(config: Mapping[str, Any]) -> TrainJob:
    """Check a composed training configuration.

    Raises:
        ConfigError: The first mistake found.
    """
    own = {k: v for k, v in config.items() if k not in GROUPS}
    settings = build_dataclass(Train, own, "")
    built = {group: registry.build(group, config.get(group) or {}) for group in GROUPS}
    if hasattr(built["backbone"], "resolved"):
        # A checkpoint must not need the earlier run to be rebuilt.
        built["backbone"] = built["backbone"].resolved()
        values = {**config["backbone"], **dataclasses.asdict(built["backbone"])}
        config = {**config, "backbone": values}
    job = TrainJob(settings=settings, config=config, **built)
    _check_together(job)
    return job


def verify_job(config: Mapping[str, Any]) -> tuple[Verify, TrainJob]:
    """Check what `tl teacher verify` is to do; the training is a run's, or the configuration's.

    Raises:
        ConfigError: The first mistake found.
    """
    own = {f.name for f in dataclasses.fields(Verify)}
    wanted = build_dataclass(Verify, {k: config[k] for k in own}, "")
    training = {k: v for k, v in config.items() if k not in own}
    if wanted.checkpoint is not None:
        path = Path(wanted.checkpoint).expanduser() / "config.json"
        if not path.is_file():
            raise ConfigError(
                "checkpoint", f"{wanted.checkpoint} is no run folder", "Give a folder of tl train."
            )
        training = json.loads(path.read_text(encoding="utf-8"))
    return wanted, train_job({**training, "plan_only": False})


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
    if settings.control and not job.distillation.distils:
        raise ConfigError("control", "there is no teacher to compare with", "Give control=false.")
