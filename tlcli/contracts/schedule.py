"""Learning-rate schedules as tables.

A new option is a frozen dataclass `Schedule` that subclasses `Schedule` of this module and has the
method `values`; `momentum` only where it moves the momentum too. One that follows the validation
sets `watches_validation` and has `initial_state` and `update`.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

# JSON-able facts of a schedule that watches validation; "factor" multiplies its table.
State = dict[str, Any]


class Schedule(ABC):
    """What every option has.

    Attributes:
        watches_validation: Whether `update` must see the monitored figure of each validation.
    """

    watches_validation: ClassVar[bool] = False

    @abstractmethod
    def values(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """Multiplier of the base learning rate at each optimizer step, float64 (total_steps,).

        Args:
            total_steps: Optimizer steps of the whole phase.
            steps_per_epoch: Optimizer steps of one pass over the images; may be a fraction.
            batch_size: Images of an optimizer step.
        """

    def momentum(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> Any:
        """Momentum at each step, float64 (total_steps,); None keeps the optimizer's own."""
        return None

    def initial_state(self) -> State:
        """State before the first validation."""
        return {"factor": 1.0}

    def update(self, state: State, value: float) -> State:
        """State after a validation; `value` is better when lower (an accuracy comes negated)."""
        return state
