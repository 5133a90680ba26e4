"""The base rate first, then half a cosine down (fastai's `fit_flat_cos`)."""

from dataclasses import dataclass
from typing import Any

from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span, steps_of
from tlcli.options.schedule._warmup import Warmup, half_cosine, progress_of, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """Flat up to a point of the training, then a fall to its end.

    Attributes:
        flat: Length from the start, warm-up included, after which the fall begins.
        minimum: Multiplier that the fall ends at, from 0 to 1.
    """

    flat: str | float
    minimum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        Length.parse(self.flat, "schedule.flat")
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        flat_end = steps_of(self.flat, "schedule.flat", span)
        flat_end = min(max(flat_end, warmup_steps), span.total_steps)
        fall = half_cosine(progress_of(span.total_steps - flat_end), self.minimum)
        return np.concatenate([np.ones(flat_end - warmup_steps), fall])
