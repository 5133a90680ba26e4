"""Raise the learning rate step by step."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlcli.config.settings import FindLr
from tlcli.contracts.schedule import Schedule
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.system import console
from tlcli.training.data import without_validation
from tlcli.training.phase import STEPS_PER_CALL, PhaseTraining
from tlcli.training.plan import PhasePlan, Plan, phase_plan
from tlcli.training.rate_curve import Curve, curve_of, divergence

STEPS_AT_ONCE = 8


@dataclass(frozen=True)
class Rising(Schedule):
    """A schedule that is a table of rates.

    Attributes:
        rates: float64 (steps,).
    """

    rates: Any

    def values(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """The rates, whatever the batches are, float64 (total_steps,)."""
        return self.rates[:total_steps]


def range_test(plan: Plan, own: FindLr) -> Curve:
    """Train with rising rates; variables are as before afterwards.

    Args:
        plan: Of the training.
        own: Which phase, and which rates.
    """
    variables = plan.lesson.variables
    before = [v.numpy() for v in variables]
    pieces = without_validation(plan.pieces)
    try:
        for phase in plan.phases[: own.phase - 1]:
            train_whole(pieces, plan.lesson, phase)
        return rising(pieces, plan.lesson, plan.phases[own.phase - 1], own)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def train_whole(pieces: Pieces, lesson: Lesson, plan: PhasePlan) -> None:
    """All steps of a phase, as training would do them."""
    phase = PhaseTraining(
        pieces, lesson, replace(plan, places=replace(plan.places, validation=None, pictures=None))
    )
    with console.Stage(f"phase {plan.index + 1}", plan.total_steps, "steps") as stage:
        for start in range(0, plan.total_steps, STEPS_PER_CALL):
            phase.feed(start, min(start + STEPS_PER_CALL, plan.total_steps))
            stage.move(start)


def rising(pieces: Pieces, lesson: Lesson, plan: PhasePlan, own: FindLr) -> Curve:
    """The steps of the test."""
    rates = np.geomspace(own.start, own.end, own.steps)
    tested = under_test(pieces, plan.order.steps_per_epoch, rates)
    epochs = len(rates) / plan.order.steps_per_epoch
    planned = phase_plan(
        tested, lesson, replace(plan.phase, epochs=epochs), plan.index, plan.order.first_epoch
    )
    phase = PhaseTraining(tested, lesson, planned)
    losses: list[float] = []
    end = None
    with console.Stage("raising the rate", own.steps, "steps") as stage:
        while len(losses) < own.steps and end is None:
            figures = phase.feed(len(losses), min(own.steps, len(losses) + STEPS_AT_ONCE))
            losses += [float(row[0]) for row in figures]
            end = divergence(losses, own)
            stage.move(len(losses))
    return curve_of(rates, losses, own)


def under_test(pieces: Pieces, steps_per_epoch: float, rates: Any) -> Pieces:
    """The pieces with the rates of the test as their schedule."""
    job, settings = pieces.job, pieces.job.settings
    # A table over all images would cost more than the few batches of the test.
    few = len(rates) < steps_per_epoch
    settings = replace(settings, on_nan="stop", cache="off" if few else settings.cache)
    optimizer = replace(job.optimizer, learning_rate=1.0)
    tested = replace(job, settings=settings, optimizer=optimizer, schedule=Rising(rates))
    return replace(pieces, job=tested)
