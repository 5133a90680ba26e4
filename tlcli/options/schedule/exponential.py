"""A constant ratio from step to step."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """Smooth decay by a factor per epoch, counted from the end of the warm-up.

    Attributes:
        gamma: Factor of one epoch, above 0, at most 1.
        minimum: Multiplier that the rate does not fall below, from 0 to 1.
    """

    gamma: float
    minimum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.gamma <= 1, "schedule.gamma", self.gamma, "Give a number in (0, 1].")
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        epochs = np.arange(span.total_steps - warmup_steps) / span.steps_per_epoch
        return np.maximum(self.gamma**epochs, self.minimum)
