"""The warm-up that every schedule begins with (Goyal et al. 2017, arXiv:1706.02677)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts.schedule import Schedule
from tlcli.errors import ConfigError, require
from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span, steps_of


@dataclass(frozen=True)
class Warmup(Schedule):
    """Fields and table of the warm-up; a schedule adds what follows.

    Attributes:
        warmup: Length of the rise from `warmup_start` to the base learning rate.
        warmup_kind: Shape of the rise: by equal differences, equal ratios or half a cosine.
        warmup_start: Multiplier at the first step, between 0 and 1; above 0 when exponential.
    """

    warmup: str | float
    warmup_kind: Literal["linear", "exponential", "cosine"]
    warmup_start: float

    def __post_init__(self) -> None:
        Length.parse(self.warmup, "schedule.warmup")
        start, exponential = self.warmup_start, self.warmup_kind == "exponential"
        remedy = "Give a number from 0 to 1, above 0 when warmup_kind is exponential."
        require(0 <= start <= 1, "schedule.warmup_start", start, remedy)
        require(start > 0 or not exponential, "schedule.warmup_start", start, remedy)

    @abstractmethod
    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""

    def values(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """Multiplier of the base learning rate at each step, float64 (total_steps,).

        Step 0 has `warmup_start`; the first step after the warm-up has the full rate.

        Raises:
            ConfigError: A part of the schedule is longer than the training.
        """
        span = Span(total_steps, steps_per_epoch, batch_size)
        steps = self.warmup_steps(span)
        after = np.asarray(self.after_warmup(steps, span), np.float64)
        return np.concatenate([self._rise(steps), after])

    def warmup_steps(self, span: Span) -> int:
        """Optimizer steps of the warm-up.

        Raises:
            ConfigError: It is longer than the training.
        """
        steps = steps_of(self.warmup, "schedule.warmup", span)
        if steps > span.total_steps:
            raise ConfigError(
                "schedule.warmup",
                f"{self.warmup} is {steps} steps and the training has {span.total_steps}",
                "Give a shorter warm-up, such as 5%, or train for longer.",
            )
        return steps

    def _rise(self, steps: int) -> Any:
        progress = np.arange(steps, dtype=np.float64) / max(steps, 1)
        if self.warmup_kind == "exponential":
            return self.warmup_start ** (1 - progress)
        if self.warmup_kind == "cosine":
            progress = (1 - np.cos(np.pi * progress)) / 2
        return self.warmup_start + (1 - self.warmup_start) * progress


def progress_of(steps: int) -> Any:
    """Fraction that is done before each of some steps, float64 (steps,): 0 first, never 1."""
    return np.arange(steps, dtype=np.float64) / max(steps, 1)


def half_cosine(progress: Any, minimum: float) -> Any:
    """From 1 at progress 0 down to `minimum` at progress 1, along half a cosine."""
    return minimum + (1 - minimum) * (1 + np.cos(np.pi * progress)) / 2


def require_fraction(name: str, given: float) -> None:
    """Raise a ConfigError unless a field of the schedule lies from 0 to 1."""
    require(0 <= given <= 1, f"schedule.{name}", given, "Give a number from 0 to 1.")
