"""A row an epoch: in metrics.csv, and for the person."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tlcli.system.console import Stage
from tlcli.system.figures import sparkline
from tlcli.system.notes import BEST, MUST, Column, Note, Table
from tlcli.system.progress_line import duration
from tlcli.system.shown import CsvWriter
from tlcli.training.phase import PhaseTraining
from tlcli.training.progress import Progress

COLUMNS = ("phase", "epoch", "step", "loss", "train_accuracy", "learning_rate")

SHOWN = (
    Column("phase", 5, rank=2), Column("epoch", 5), Column("loss", 7), Column("valid.", 7),
    Column("accur.", 7), Column("mac.F1", 7, rank=5), Column("learn.rate", 10, rank=4),
    Column("img/s", 7, rank=3), Column("time", 6, rank=1), Column("left", 6), Column("", 1),
)  # fmt: skip


def stage(phase: PhaseTraining, progress: Progress) -> Stage:
    """A phase as a stage of work; its first steps wait for their graph to be made."""
    what = doing(phase, progress) if phase.begun else "preparing the first step"
    return Stage(what, phase.plan.total_steps, "steps", progress.step)


def doing(phase: PhaseTraining, progress: Progress) -> str:
    """Which epoch is trained."""
    return f"epoch {progress.epoch + 1} of {phase.plan.phase.epochs:.3g}"


def heading() -> Table:
    """The titles above the rows."""
    return Table(SHOWN, (), labelled=False)


def shown(row: Mapping[str, Any], left: float) -> Table:
    """An epoch as a row; the best so far stands out.

    Args:
        row: Of `Progress.rows`.
        left: Seconds until the phase is over.
    """
    figures = row["validation"]

    def figure(name: str) -> str:
        value = figures.get(name)
        return "-" if value is None else f"{value:.4f}"

    cells = (
        f"{row['phase'] + 1}", f"{row['epoch']}", f"{row['loss']:.4f}", figure("loss"),
        figure("accuracy"), figure("macro_f1"), f"{row['learning_rate']:.3g}",
        f"{row['images_per_second']:.0f}", duration(row["seconds"]), duration(left),
        "*" if row["best"] else "",
    )  # fmt: skip
    kind = BEST if row["best"] else MUST
    return Table(SHOWN, (cells,), titled=False, labelled=False, kind=kind)


def curve(rows: Sequence[Mapping[str, Any]], monitor: str) -> list[Note]:
    """The figure that chose the best epoch over all epochs, as a line of bars."""
    found = [row for row in rows if math.isfinite(row["validation"].get(monitor, math.nan))]
    best = [row for row in found if row["best"]]
    if len(found) < 2 or not best:
        return []
    values = [row["validation"][monitor] for row in found]
    top = best[-1]
    name = monitor.replace("_", " ")
    told = f"validation {name} {values[0]:.4f} to {values[-1]:.4f}"
    where = f"in epoch {top['epoch']} of phase {top['phase'] + 1}"
    kept = f"best {top['validation'][monitor]:.4f} {where}"
    return [Note("curve", f"{sparkline(values)} {told}, {kept}")]


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows so far as CSV, a column for each validation figure that any of them has."""
    text = io.StringIO()
    names = sorted({name for row in rows for name in row["validation"]})
    writer = CsvWriter(text)
    writer.row([*COLUMNS, *(f"validation_{name}" for name in names), "best"])
    for row in rows:
        figures = [row["validation"].get(name, "") for name in names]
        writer.row([*(row[column] for column in COLUMNS), *figures, int(row["best"])])
    return text.getvalue()
