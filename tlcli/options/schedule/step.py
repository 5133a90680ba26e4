"""A drop by a factor at equal distances (He et al. 2016, arXiv:1512.03385)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span
from tlcli.options.schedule._warmup import Warmup


@dataclass(frozen=True)
class Schedule(Warmup):
    """Drops at every, 2 every, 3 every, … from the start of the training.

    Attributes:
        every: Length between two drops, above 0.
        gamma: Factor of a drop, above 0, at most 1.
    """

    every: str | float
    gamma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        length = Length.parse(self.every, "schedule.every")
        require(length.amount > 0, "schedule.every", self.every, "Give a length above 0.")
        require(0 < self.gamma <= 1, "schedule.gamma", self.gamma, "Give a number in (0, 1].")

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        every = Length.parse(self.every, "schedule.every").exact_steps(span)
        # Steps are compared with exact multiples; the hair absorbs rounding of fractions.
        drops = np.floor(np.arange(warmup_steps, span.total_steps) / every + 1e-9)
        return self.gamma**drops
