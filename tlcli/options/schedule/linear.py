"""A straight line down to a fraction of the base rate."""

from dataclasses import dataclass
from typing import Any

from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup, progress_of, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """Equal differences from the base rate to its minimum.

    Attributes:
        minimum: Multiplier that the line ends at, from 0 to 1.
    """

    minimum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        return 1 - (1 - self.minimum) * progress_of(span.total_steps - warmup_steps)
