"""`tl find-lr`: a learning-rate range test (Smith 2015, arXiv:1506.01186).

The rate grows by the same factor each step of a phase, with the images, views, loss, teacher and
optimizer of the training, until the loss diverges. Rates are values of optimizer.learning_rate, so
scaling by the batch and the multipliers of the phase are in them. The weights are put back.
"""

import io
import math
import sys
from pathlib import Path

import numpy as np

from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob
from tlcli.config.settings import FindLr
from tlcli.contracts.finetune import Phase
from tlcli.distill.attach import attach
from tlcli.errors import ConfigError
from tlcli.runs import output
from tlcli.system import console, files
from tlcli.system.figures import bars
from tlcli.system.shown import CsvWriter
from tlcli.training import auto_backbone, balance, batch_size
from tlcli.training import plan as plans
from tlcli.training.auto import resolved
from tlcli.training.build import pieces_of
from tlcli.training.plan import Plan
from tlcli.training.range_test import range_test
from tlcli.training.rate_curve import Curve, Suggestion, suggestion

COLUMNS, ROWS = 64, 8


def run(checked: Checked[FindLr, TrainJob]) -> int:
    """Test as configured, print the curve and the rate to take; returns the exit code.

    Raises:
        ConfigError: Options that do not fit each other or the data.
        DataError: Data that cannot be read.
    """
    console.start_log(None)
    own = checked.settings
    place = output.place(own.output, own.overwrite) if own.output else None
    check(checked.job)
    job = batch_size.resolved(auto_backbone.resolved(checked.job, checked.typed))
    if job.settings.auto:
        job = resolved(job, checked.typed)
    pieces = pieces_of(job)
    plan = plans.made(*balance.settled(pieces, attach(pieces)))
    count = len(plan.phases)
    if own.phase > count:
        problem = f"got {own.phase}, and the strategy has {count}"
        raise ConfigError("phase", problem, f"Give 1 to {count}.")
    console.say(heading(plan, own))
    curve = range_test(plan, own)
    found = suggestion(curve)
    if place is not None:
        write(place, curve, found)
    phase = plan.phases[own.phase - 1].phase
    sys.stdout.write("\n".join([*plot(curve, found), *conclusion(curve, found, phase, own)]) + "\n")
    return 0


def check(job: TrainJob) -> None:
    """Refuse what is several trainings.

    Raises:
        ConfigError: A chain.
    """
    for key, single in (("generations", 1), ("assistants", ())):
        if getattr(job.settings, key) != single:
            raise ConfigError(
                key, "find-lr tests one training, and this is a chain of several",
                f"Leave {key} out, and name the teacher of the training to test.",
            )  # fmt: skip


def heading(plan: Plan, own: FindLr) -> str:
    """What is tested, in one line."""
    job, phase = plan.pieces.job, plan.phases[own.phase - 1].phase
    before = f", after {own.phase - 1} earlier in full" if own.phase > 1 else ""
    return (
        f"find-lr    phase {own.phase} of {len(plan.phases)} ({phase.name}){before}: "
        f"{own.steps} steps of {job.settings.batch_size} images, "
        f"{job.config['optimizer']['name']}, optimizer.learning_rate {own.start:g} to {own.end:g}"
    )


def plot(curve: Curve, found: Suggestion | None) -> list[str]:
    """The smoothed loss over the rate as bars, with ^ below the suggested rate."""
    if len(curve.smoothed) < 2:
        return []
    rates = np.log(curve.rates[: len(curve.smoothed)])
    places = np.linspace(rates[0], rates[-1], COLUMNS)
    values = np.interp(places, rates, curve.smoothed)
    top = min(float(values.max()), 1.5 * float(values[0])) if values[0] > 0 else values.max()
    low = float(values.min())
    lines = bars((np.minimum(values, top) - low) / max(top - low, 1e-12), ROWS)
    labels = {0: f"{top:.3g}", ROWS - 1: f"{low:.3g}"}
    shown = [f"{labels.get(i, ''):>9} {line}" for i, line in enumerate(lines)]
    left, right = f"{math.exp(places[0]):.1g}", f"{math.exp(places[-1]):.2g}"
    shown.append(f"{'rate':>9} {left}{right:>{COLUMNS - len(left)}}")
    if found is not None:
        column = int(np.argmin(np.abs(places - math.log(found.rate))))
        shown.insert(-1, f"{'':>9} {'^':>{column + 1}}")
    return shown


def conclusion(curve: Curve, found: Suggestion | None, phase: Phase, own: FindLr) -> list[str]:
    """How the test ended and what to type."""
    end = f"{curve.rates[-1]:.2g}"
    lines = [f"ended      at {end}, where the loss diverged" if curve.diverged is not None
             else f"ended      at {end}, and the loss had not diverged"]  # fmt: skip
    if found is None:
        return [*lines, "suggested  nothing: the loss did not fall. Give more steps, another start "
                "or end, or another phase."]  # fmt: skip
    lines.append(
        f"lowest     {curve.smoothed.min():.4g} at {found.lowest:.2g}, falling fastest at "
        f"{found.steepest:.2g}"
    )
    if phase.rate != 1:
        lines.append(f"           phase {own.phase} multiplies the rate by {phase.rate:g}")
    return [*lines, f"suggested  optimizer.learning_rate={found.rate:.2g} ({found.reason})"]


def write(path: Path, curve: Curve, found: Suggestion | None) -> None:
    """Every step to a .csv file, or with the suggestion to a .json file.

    Raises:
        WriteError: It cannot be written.
    """
    size = len(curve.smoothed)
    smoothed = [*curve.smoothed.tolist(), *[None] * (len(curve.rates) - size)]
    rows = list(zip(curve.rates.tolist(), curve.losses.tolist(), smoothed, strict=True))
    if path.suffix.lower() == ".csv":
        text = io.StringIO()
        writer = CsvWriter(text)
        for row in [("learning_rate", "loss", "smoothed_loss"), *rows]:
            writer.row(row)
        output.write(path, text.getvalue().encode())
        return
    names = ("learning_rate", "loss", "smoothed_loss")
    told = None if found is None else {
        "learning_rate": found.rate, "steepest": found.steepest, "lowest": found.lowest,
    }  # fmt: skip
    steps = [{k: _json_number(v) for k, v in zip(names, row, strict=True)} for row in rows]
    content = {"suggestion": told, "diverged_at_step": curve.diverged, "steps": steps}
    output.write(path, files.as_json(content).encode())


def _json_number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
