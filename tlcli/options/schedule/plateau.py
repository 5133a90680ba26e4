"""A drop by a factor when validation stops getting better."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.schedule import State
from tlcli.errors import require
from tlcli.lazy import np
from tlcli.options.schedule._length import Span
from tlcli.options.schedule._plateau import initial_state, plateau_update
from tlcli.options.schedule._warmup import Warmup, require_fraction


@dataclass(frozen=True)
class Schedule(Warmup):
    """A table without drops, and the rule that lowers a factor after each validation.

    Attributes:
        factor: Factor of a drop, above 0, below 1.
        patience: Validations without a better value before a drop, 1 or more.
        min_delta: How much lower a value must be to count as better, 0 or more.
        minimum: Multiplier that the drops do not go below, from 0 to 1.
    """

    factor: float
    patience: int
    min_delta: float
    minimum: float

    watches_validation: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < 1, "schedule.factor", self.factor, "Give a number in (0, 1).")
        require(self.patience >= 1, "schedule.patience", self.patience, "Give 1 or more.")
        require(self.min_delta >= 0, "schedule.min_delta", self.min_delta, "Give 0 or more.")
        require_fraction("minimum", self.minimum)

    def after_warmup(self, warmup_steps: int, span: Span) -> Any:
        """Multipliers before any drop, float64 (total_steps - warmup_steps,)."""
        return np.ones(span.total_steps - warmup_steps)

    def initial_state(self) -> State:
        """State before the first validation; its "factor" multiplies `values`."""
        return initial_state()

    def update(self, state: State, value: float) -> State:
        """State after a validation; `value` is better when lower (negate an accuracy)."""
        return plateau_update(self, state, value)
