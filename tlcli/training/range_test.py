"""Raise the learning rate step by step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlcli.config.settings import FindLr
from tlcli.contracts.data import TRAIN
from tlcli.contracts.finetune import Phase
from tlcli.distill.pieces import Run
from tlcli.system import console
from tlcli.training.data import without_validation
from tlcli.training.order import make_order
from tlcli.training.phase import STEPS_PER_CALL, PhaseTrainer
from tlcli.training.rate_curve import Curve, divergence, highest, smooth

STEPS_AT_ONCE = 8


@dataclass(frozen=True)
class Rising:
    """A schedule that is a table of rates.

    Attributes:
        rates: float64 (steps,).
    """

    rates: Any

    def values(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """The rates, whatever the batches are, float64 (total_steps,)."""
        return self.rates[:total_steps]

    def momentum(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> None:
        """The optimizer's own."""


def range_test(shared: Run, chosen: Sequence[Phase], own: FindLr) -> Curve:
    """Train with rising rates; variables are as before afterwards.

    Args:
        shared: As `setup.prepare` makes it.
        chosen: All phases of its strategy.
        own: Which phase, and which rates.
    """
    state = shared.method_state
    variables = [*shared.student.model.variables, *(state.variables if state is not None else [])]
    before = [v.numpy() for v in variables]
    lent = without_validation(shared)
    first = 0.0
    try:
        for index, phase in enumerate(chosen[: own.phase - 1]):
            train_whole(lent, phase, index, first)
            first += phase.epochs
        return rising(lent, chosen[own.phase - 1], first, own)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def train_whole(shared: Run, phase: Phase, index: int, first: float) -> None:
    """All steps of a phase, as training would do them."""
    trainer = PhaseTrainer(shared, phase, index, math.ceil(first))
    bar = console.Bar(trainer.total_steps)
    for start in range(0, trainer.total_steps, STEPS_PER_CALL):
        trainer.feed(start, min(start + STEPS_PER_CALL, trainer.total_steps))
        bar.move(start)
    bar.close()


def rising(shared: Run, phase: Phase, first: float, own: FindLr) -> Curve:
    """The steps of the test."""
    rates = np.geomspace(own.start, own.end, own.steps)
    trainer = PhaseTrainer(*under_test(shared, phase, rates), own.phase - 1, math.ceil(first))
    bar = console.Bar(own.steps)
    losses: list[float] = []
    end = None
    while len(losses) < own.steps and end is None:
        figures = trainer.feed(len(losses), min(own.steps, len(losses) + STEPS_AT_ONCE))
        losses += [float(row[0]) for row in figures]
        end = divergence(losses, own)
        bar.move(len(losses))
    bar.close()
    seen = len(losses) if end is None else end + 1
    sound = seen if end is None else end
    limit = highest(min(losses[:sound], default=math.inf), own)
    smoothed = smooth(np.minimum(losses[:sound], limit), own.smoothing)
    return Curve(rates[:seen], np.array(losses[:seen]), smoothed, end)


def under_test(shared: Run, phase: Phase, rates: Any) -> tuple[Run, Phase]:
    """The run and the phase with the rates of the test as their schedule."""
    job, settings = shared.job, shared.job.settings
    order = make_order(shared, shared.manifest.rows(TRAIN), 0)
    # A table over all images would cost more than the few batches of the test.
    few = len(rates) < order.steps_per_epoch
    settings = replace(settings, on_nan="stop", cache="off" if few else settings.cache)
    optimizer = replace(job.optimizer, learning_rate=1.0)
    tested = replace(job, settings=settings, optimizer=optimizer, schedule=Rising(rates))
    return replace(shared, job=tested), replace(phase, epochs=len(rates) / order.steps_per_epoch)
