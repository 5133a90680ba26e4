"""Half a cosine down, with warm restarts (Loshchilov and Hutter 2017, arXiv:1608.03983)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import ConfigError, require
from tlcli.lazy import np
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup, half_cosine, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """From the base rate to a fraction of it, once or several times.

    Attributes:
        minimum: Multiplier that a cycle falls to, from 0 to 1.
        cycles: How many times the rate falls, 1 or more; each starts again at the base rate.
        cycle_mult: Length of a cycle over the length of the one before, above 0.
    """

    minimum: float
    cycles: int
    cycle_mult: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("minimum", self.minimum)
        require(self.cycles >= 1, "schedule.cycles", self.cycles, "Give 1 or more.")
        require(
            self.cycle_mult > 0, "schedule.cycle_mult", self.cycle_mult, "Give a number above 0."
        )

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        steps = span.total_steps - warmup_steps
        if 0 < steps < self.cycles:
            raise ConfigError(
                "schedule.cycles",
                f"{self.cycles} cycles in {steps} steps",
                "Give fewer cycles or train for longer.",
            )
        shares = self.cycle_mult ** np.arange(self.cycles, dtype=np.float64)
        ends = np.cumsum(shares) / np.sum(shares) * steps
        index = np.arange(steps, dtype=np.float64)
        # A start that rounding puts a hair after its step would leave the minimum there.
        cycle = np.minimum(np.searchsorted(ends, index + 1e-9, side="right"), self.cycles - 1)
        starts = np.concatenate([[0.0], ends[:-1]])[cycle]
        progress = np.clip((index - starts) / (ends[cycle] - starts), 0, 1)
        return half_cosine(progress, self.minimum)
