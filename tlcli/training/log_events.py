"""What loggers are told of a training, as values made from its plan, its steps and its result."""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.config.differences import option_of
from tlcli.config.recipe import usual
from tlcli.contracts import GROUPS
from tlcli.contracts.data import TRAIN
from tlcli.contracts.logger import Begun, Confusion, Figures, Finished, Logger, Pictures, Steps
from tlcli.errors import DataError
from tlcli.runs import logger_ids
from tlcli.runs.folder import RunFolder
from tlcli.runs.state import State
from tlcli.system import console
from tlcli.system.notes import WARNING
from tlcli.training.loggers import SILENT, Loggers
from tlcli.training.plan import Plan
from tlcli.training.progress import Outcome
from tlcli.training.result import Result

VIEWS = 6  # epochs of which an image's views are shown
# Of a run's folder; all of them may not be there.
FILES = (
    "config.json", "metadata.json", "metrics.json", "metrics.csv", "split.csv", "train.log",
    "report.html", "predictions.npz", "model.weights.h5",
)  # fmt: skip
# Of this training's doing, not of what it makes.
PASSING = ("resume", "run_dir", "plan_only", "verbose", "logger")


def loggers_of(plan: Plan, folder: RunFolder, found: State | None) -> Loggers:
    """The loggers of a training, which begin when they are entered; the chief alone has any.

    Args:
        plan: Of the training.
        folder: Its own.
        found: The state that it goes on from, or None.
    """
    job, run_dir = plan.pieces.job, folder.path
    options = job.logger.parts if folder.is_chief else ()
    if not options:
        return SILENT
    try:
        kept = logger_ids.read(run_dir)
    except DataError as error:
        console.say(f"logger     {error}", WARNING)
        kept = {}
    lock = threading.Lock()

    def keep(label: str, own: Mapping[str, str]) -> None:
        with lock:
            kept[label] = dict(own)
            folder.check()
            logger_ids.write(run_dir, kept)

    first = Begun(
        run_dir=run_dir, title=title_of(run_dir), config=flat(job.config),
        chosen=chosen(job.config), step=state_step(plan, found), kept={},
    )  # fmt: skip
    begun = {one.label: replace(first, kept=kept.get(one.label, {})) for one in options}
    return Loggers(options, begun, keep, () if first.step else views(plan, options))


def title_of(run_dir: Path) -> str:
    """What a run is called: its folder, and the one above."""
    return "/".join(run_dir.absolute().parts[-2:]).lstrip("/")


def flat(config: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Plain values by dotted key, of a training or of a part of it."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        where = f"{place}.{key}" if place else str(key)
        if where in PASSING:
            continue
        if isinstance(value, Mapping) and value:
            found |= flat(value, where)
        else:
            found[where] = value
    return found


def chosen(config: Mapping[str, Any]) -> dict[str, Any]:
    """Values that are no defaults, and the option of each group."""
    values, _ = usual()
    rest = {key: value for key, value in config.items() if key not in GROUPS}
    found = {key: value for key, value in flat(rest).items() if values.get(key, ...) != value}
    for group in GROUPS:
        if group not in PASSING:
            option, changed = option_of(group, config[group])
            found[group] = option
            found |= flat(changed, group)
    return found


def steps_before(plan: Plan, phase: int) -> int:
    """Steps of the phases before one, as they are planned."""
    return sum(one.total_steps for one in plan.phases[:phase])


def state_step(plan: Plan, found: State | None) -> int:
    """Step over all phases of a state."""
    if found is None or not found.arrays:
        return 0
    return steps_before(plan, int(found.facts["phase"])) + int(found.facts["step"])


def steps(plan: Plan, phase: int, first: int, figures: Any, rate: float) -> Steps:
    """Figures of some steps.

    Args:
        plan: Of the training.
        phase: Index of theirs.
        first: Steps of the phase before them.
        figures: float32 (steps, 4), or with the norm of the gradient (steps, 5).
        rate: Factor of the phase's table of rates.
    """
    table = np.asarray(figures, np.float64)
    loss, label_loss, right, labelled, *norm = table.T
    rates = plan.phases[phase].rate_table[first : first + len(table)]
    columns = {
        "step/loss": loss, "step/label_loss": label_loss,
        "step/accuracy": np.divide(right, labelled, out=np.zeros_like(right), where=labelled > 0),
        "step/learning_rate": np.asarray(rates) * rate,
        **({"step/gradient_norm": norm[0]} if norm else {}),
    }  # fmt: skip
    return Steps(steps_before(plan, phase) + first, time.time(), columns)


def epoch(plan: Plan, row: Mapping[str, Any]) -> Figures:
    """Figures of a validation and of the epochs before it.

    Args:
        plan: Of the training.
        row: Of `Progress.rows`.
    """
    accuracy = row["train_accuracy"]
    values = {
        "train/loss": row["loss"],
        **({} if accuracy is None else {"train/accuracy": accuracy}),
        **{f"validation/{name}": value for name, value in row["validation"].items()},
        "progress/phase": row["phase"] + 1, "progress/epoch": row["epoch"],
        "progress/learning_rate": row["learning_rate"], "progress/best": float(row["best"]),
        "progress/images_per_second": row["images_per_second"],
    }  # fmt: skip
    return Figures(steps_before(plan, row["phase"]) + row["step"], time.time(), values)


def tell_epoch(loggers: Loggers, plan: Plan, row: Mapping[str, Any], counts: Any) -> None:
    """Tell of a validation, and of the classes that the best one so far took for others.

    Args:
        loggers: Who is told.
        plan: Of the training.
        row: Of `Progress.rows`.
        counts: How often each class was taken for each other, or None.
    """
    if not loggers:
        return
    found = epoch(plan, row)
    loggers.tell(found)
    if row["best"] and counts is not None:
        names = plan.pieces.manifest.class_names
        loggers.tell(Confusion(found.step, found.when, "validation", counts, names))


def finished(run_dir: Path, step: int, figures: Mapping[str, Mapping[str, float]]) -> Finished:
    """A run that is whole.

    Args:
        run_dir: Its folder.
        step: Over all phases.
        figures: metrics.json.
    """
    values = {f"{split}/best_{name}" if split != "test" else f"test/{name}": value
              for split, own in figures.items() for name, value in own.items()}  # fmt: skip
    files = [run_dir / name for name in FILES if (run_dir / name).is_file()]
    return Finished(step, time.time(), values, files)


def tell_result(
    loggers: Loggers, plan: Plan, outcome: Outcome, run_dir: Path, written: Result
) -> None:
    """Tell of a run that is whole.

    Args:
        loggers: Who is told.
        plan: Of the training.
        outcome: What came of it.
        run_dir: The run.
        written: The run's figures.
    """
    if not loggers:
        return
    progress = outcome.progress
    last = progress.rows[-1]
    step = steps_before(plan, last["phase"]) + last["step"]
    manifest = plan.pieces.manifest
    if written.test is not None and not manifest.multi_label and (
        counts := written.test.confusion
    ) is not None:  # fmt: skip
        loggers.tell(Confusion(step, time.time(), "test", counts, manifest.class_names))
    loggers.tell(finished(run_dir, step, written.figures))


def views(plan: Plan, options: tuple[Logger, ...]) -> tuple[Pictures, ...]:
    """Training images as they are augmented, a row an image; nothing where nobody shows any."""
    count = max((one.view_count for one in options), default=0)
    train, plain = plan.pieces.train_views, plan.pieces.plain_views
    if not count:
        return ()
    every = plan.pieces.manifest.rows(TRAIN)
    rows = every[np.unique(np.linspace(0, len(every) - 1, count).astype(int))]
    limit = 1 if train.augmentation is None else train.augmentation.views
    number = VIEWS if limit is None else min(VIEWS, limit)
    which = np.tile(np.asarray(train.number(np.arange(number))), len(rows))
    shown = np.concatenate(list(train.batches(np.repeat(rows, number), which, 32)))
    whole = np.concatenate(list(plain.batches(rows, np.zeros(len(rows)), 32)))
    found = [[whole[i], *shown[i * number : (i + 1) * number]] for i in range(len(rows))]
    as_bytes = [[np.asarray(one).round().astype(np.uint8) for one in row] for row in found]
    return (Pictures(0, time.time(), "views", as_bytes),)
