"""A drop by a factor at each of some milestones (He et al. 2016, arXiv:1512.03385)."""

from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Length, Span, steps_of
from tlcli.options.schedule._warmup import Warmup


@dataclass(frozen=True)
class Schedule(Warmup):
    """Drops at milestones, each counted from the start of the training.

    Attributes:
        milestones: Lengths from the start, in any order; one beyond the end never comes.
        gamma: Factor of a drop, above 0, at most 1.
    """

    milestones: tuple[str | float, ...]
    gamma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for place, milestone in enumerate(self.milestones):
            Length.parse(milestone, f"schedule.milestones[{place}]")
        require(0 < self.gamma <= 1, "schedule.gamma", self.gamma, "Give a number in (0, 1].")

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        steps = sorted(steps_of(m, "schedule.milestones", span) for m in self.milestones)
        index = np.arange(warmup_steps, span.total_steps)
        return self.gamma ** np.searchsorted(steps, index, side="right").astype(np.float64)
