"""Warm-up, stable, decay (Hägele et al. 2024, arXiv:2405.18392)."""

from dataclasses import dataclass
from typing import Any, Literal

from tlcli.errors import ConfigError
from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span, steps_of
from tlcli.options.schedule._warmup import Warmup, half_cosine, progress_of, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """The base rate for most of the training and a fall at its end.

    Attributes:
        decay: Length of the fall at the end.
        decay_kind: Its shape: a line, half a cosine, or 1 - sqrt(fraction done).
        minimum: Multiplier that the fall ends at, from 0 to 1.
    """

    decay: str | float
    decay_kind: Literal["linear", "cosine", "sqrt"]
    minimum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        Length.parse(self.decay, "schedule.decay")
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        decay_steps = steps_of(self.decay, "schedule.decay", span)
        stable_steps = span.total_steps - warmup_steps - decay_steps
        if stable_steps < 0:
            raise ConfigError(
                "schedule.decay",
                f"warm-up and decay are {warmup_steps + decay_steps} steps and the training has "
                f"{span.total_steps}",
                "Give a shorter decay or warm-up.",
            )
        return np.concatenate([np.ones(stable_steps), self._fall(progress_of(decay_steps))])

    def _fall(self, progress: Any) -> Any:
        if self.decay_kind == "cosine":
            return half_cosine(progress, self.minimum)
        done = np.sqrt(progress) if self.decay_kind == "sqrt" else progress
        return 1 - (1 - self.minimum) * done
