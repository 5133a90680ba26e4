"""Where a training stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlcli.contracts.schedule import Schedule
from tlcli.errors import TlError
from tlcli.training.kept import KeptWeights

NOT_FINITE = (
    "Lower optimizer.learning_rate, set optimizer.clip_norm=1, or on_nan=skip or reduce_lr. "
    "The last saved state is whole."
)


class NotFinite(TlError):  # noqa: N818 - it may be mended
    """Loss, weights or validation are not finite."""


@dataclass
class Epoch:
    """Figures of one epoch, a row of metrics.csv."""

    phase: int
    epoch: int
    step: int
    loss: float
    train_accuracy: float | None
    validation: dict[str, float]
    learning_rate: float
    images_per_second: float
    seconds: float
    best: bool


@dataclass
class Progress:
    """Where a training stands; everything a resume needs that is not an array.

    Attributes:
        phase: Index of the phase.
        step: Steps done in it.
        epoch: Epochs done in it.
        sums: Sum of the figures since the last validation, and steps.
        best: Best validation figure so far over all phases, or None.
        best_epoch: [phase, epoch] of it.
        waited: Validations without a better one, in this phase.
        plateau: State of a plateau schedule.
        rows: Rows of metrics.csv so far.
        averaged: Equal averages taken (SWA).
        halvings: How often the rate of the phase was halved (on_nan=reduce_lr).
        peers: Best validation figure of each peer so far, or None.
    """

    phase: int = 0
    step: int = 0
    epoch: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    best: float | None = None
    best_epoch: list[int] = field(default_factory=list)
    waited: int = 0
    plateau: dict[str, Any] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    averaged: int = 0
    halvings: int = 0
    peers: list[float | None] = field(default_factory=list)

    def count(self, figures: Any, step: int) -> None:
        """Add the figures of the steps up to one, float32 (steps, 4 or more)."""
        sums = np.asarray(self.sums)
        for row in figures[:, :4]:  # one by one, so that a resume adds in the same order
            sums += [*row, 1]
        self.sums, self.step = sums.tolist(), step

    def taken_sums(self) -> list[float]:
        """The sums so far, which begin anew."""
        sums, self.sums = self.sums, [0.0] * 5
        return sums

    def watch(self, schedule: Schedule, metric: str, figures: Mapping[str, float]) -> bool:
        """Let a plateau schedule see validation figures; whether it did.

        Args:
            schedule: Of the training.
            metric: The figure that chooses the best epoch.
            figures: Of a validation, perhaps none.
        """
        if not schedule.watches_validation or not figures:
            return False
        value = figures[metric] if metric == "loss" else -figures[metric]
        self.plateau = schedule.update(self.plateau or schedule.initial_state(), value)
        return True

    def end_phase(self) -> None:
        """Forget what counts within a phase."""
        self.step = self.epoch = self.waited = self.averaged = self.halvings = 0
        self.plateau = None
        self.sums = [0.0] * 5


@dataclass(frozen=True)
class Outcome:
    """What came of a training; the student holds its best weights.

    Attributes:
        kept: Those weights, those of its peers, and where the last phase began.
        progress: Where it ended.
        monitor: The figure that chose the best epoch.
    """

    kept: KeptWeights
    progress: Progress
    monitor: str
