"""What a phase keeps in memory: all of it out of one budget, in one order.

First what cannot be done without (copies of weights), then outputs that are mapped from disk, or
computed at each use, where they do not fit. Decoded pictures take what is left.
"""

from dataclasses import dataclass

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.distill.teaching import Teaching
from tlcli.models.frozen.place import Place
from tlcli.models.graph.split import Split
from tlcli.models.student import count
from tlcli.system.memory import Budget
from tlcli.training.frozen_part import placed

WEIGHT_BYTES = 4
# What most optimizers hold of each trained number, and what a state copies of them.
MOMENTS = 2


@dataclass(frozen=True)
class Places:
    """Where a phase keeps what it computes once; None for what is computed at each use.

    Attributes:
        tables: Outputs of the frozen part over the training views.
        signals: The teacher's outputs over them.
        validation: Outputs of the frozen part over the validation images.
        pictures: Validation pictures, for networks beside the student.
        budget: What is left.
    """

    tables: Place | None
    signals: Place | None
    validation: Place | None
    pictures: Place | None
    budget: Budget


def places(pieces: Pieces, lesson: Lesson, cut: Split, trained: int) -> Places:
    """Where a phase keeps what.

    Args:
        pieces: Of the training.
        lesson: Of the training.
        cut: The student cut where its constant part ends.
        trained: Numbers that the phase trains.
    """
    views, plain = pieces.train_views, pieces.plain_views
    few, shown = len(pieces.manifest.labelled(VALIDATION)), 0
    if views.finite is not None and lesson.teacher.tabular:
        shown = len(pieces.manifest.rows(TRAIN)) * views.finite
    left = pieces.budget.after("weights", weight_bytes(pieces.job, lesson, trained))
    signals = signals_place(lesson.teacher, left) if shown else None
    tables = None
    if signals is not None:
        tables = placed(pieces, cut.prefix, views, shown, left.after("", signals.memory))
    if tables is None:
        signals = None
    left = _with(_with(left, "teacher", signals), "frozen outputs", tables)
    validation = placed(pieces, cut.prefix, plain, few, left)
    left = _with(left, "validation", validation)
    pictures = placed(pieces, None, plain, few, left) if lesson.state.peers else None
    return Places(
        tables, signals, validation, pictures, _with(left, "validation pictures", pictures)
    )


def signals_place(teacher: Teaching, budget: Budget) -> Place | None:
    """How a teacher's outputs over finite views are kept beside tables.

    Args:
        teacher: The teacher, or nobody.
        budget: Memory that is left for them.
    """
    size = teacher.table_bytes
    if size <= budget.left:
        return Place(False, False, size)
    return Place(True, False, size) if teacher.on_disk else None


def weight_bytes(job: TrainJob, lesson: Lesson, trained: int) -> int:
    """Copies of weights that a training holds beside those it trains, at their most.

    They are the best and the first ones, averages, what a lower rate goes back to; and, while a
    state is written, all of it once as arrays and once as the file.

    Args:
        job: The training.
        lesson: With the student.
        trained: Numbers that are trained.
    """
    weights, option = count(lesson.variables), job.optimizer
    moving = weights + MOMENTS * trained
    averages = weights * ((option.ema is not None) + (option.swa is not None))
    kept = 2 * weights + averages
    kept += moving if job.settings.on_nan == "reduce_lr" else 0
    written = 0 if job.settings.save_every == "off" else 2 * moving + kept
    return WEIGHT_BYTES * (kept + written)


def _with(budget: Budget, what: str, place: Place | None) -> Budget:
    return budget if place is None else budget.after(what, place.memory)
