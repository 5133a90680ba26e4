"""The same learning rate to the end, after the warm-up."""

from dataclasses import dataclass
from typing import Any

from tlcli.lazy import np
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._warmup import Warmup


@dataclass(frozen=True)
class Schedule(Warmup):
    """No change after the warm-up; the fields are the warm-up's."""

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers once the warm-up is over, float64 (total_steps - warmup_steps,)."""
        return np.ones(span.total_steps - warmup_steps)
