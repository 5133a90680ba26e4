"""A power of the fraction that is left (DeepLab, Chen et al. 2017, arXiv:1606.00915)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup, progress_of, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """minimum + (1 - minimum) * (fraction left) ** power.

    Attributes:
        minimum: Multiplier that the curve ends at, from 0 to 1.
        power: Above 0; 1 is a straight line, above 1 falls fast first.
    """

    minimum: float
    power: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("minimum", self.minimum)
        require(self.power > 0, "schedule.power", self.power, "Give a number above 0.")

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        left = 1 - progress_of(span.total_steps - warmup_steps)
        return self.minimum + (1 - self.minimum) * left**self.power
