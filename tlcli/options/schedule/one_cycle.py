"""One rise and one fall, momentum the other way (Smith and Topin 2018, arXiv:1708.07120)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup, half_cosine, progress_of, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """The warm-up is the rise; half a cosine falls from there to the end.

    Attributes:
        minimum: Multiplier that the fall ends at, from 0 to 1.
        momentum_high: Momentum at the first and after the last step, from 0 up to, not with, 1.
        momentum_low: Momentum at the highest learning rate, at most `momentum_high`.
    """

    minimum: float
    momentum_high: float
    momentum_low: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_fraction("minimum", self.minimum)
        for name in ("momentum_high", "momentum_low"):
            given = getattr(self, name)
            require(0 <= given < 1, f"schedule.{name}", given, "Give a number from 0, below 1.")
        require(
            self.momentum_low <= self.momentum_high,
            "schedule.momentum_low",
            self.momentum_low,
            f"Give at most momentum_high, {self.momentum_high}.",
        )

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        return half_cosine(progress_of(span.total_steps - warmup_steps), self.minimum)

    def momentum(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """Momentum at each step, float64 (total_steps,): down in the rise, up in the fall."""
        rise = self.warmup_steps(Span(total_steps, steps_per_epoch, batch_size))
        down = half_cosine(progress_of(rise), 0.0)
        up = 1 - half_cosine(progress_of(total_steps - rise), 0.0)
        weight = np.concatenate([down, up])
        return self.momentum_low + (self.momentum_high - self.momentum_low) * weight
