"""One over the square root of time (Zhai et al. 2022, arXiv:2106.04560)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span
from tlcli.options.schedule._warmup import Warmup, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """sqrt(timescale / (timescale + steps since the warm-up)): no end need be known.

    Attributes:
        timescale: Length after which the rate has fallen to 0.71 of the base rate, above 0.
        minimum: Multiplier that the rate does not fall below, from 0 to 1.
    """

    timescale: str | float
    minimum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        length = Length.parse(self.timescale, "schedule.timescale")
        require(length.amount > 0, "schedule.timescale", self.timescale, "Give a length above 0.")
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        timescale = Length.parse(self.timescale, "schedule.timescale").exact_steps(span)
        index = np.arange(span.total_steps - warmup_steps, dtype=np.float64)
        return np.maximum(np.sqrt(timescale / (timescale + index)), self.minimum)
