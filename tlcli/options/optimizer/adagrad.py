"""Adagrad (Duchi et al. 2011)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero
from tlcli.errors import require
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Gradient divided by the root of the sum of its squares.

    Attributes:
        initial_accumulator_value: What the sum begins with, 0 or more.
        epsilon: Added to the sum, above 0.
    """

    initial_accumulator_value: float
    epsilon: float

    def __post_init__(self) -> None:
        super().__post_init__()
        start = self.initial_accumulator_value
        require(start >= 0, "optimizer.initial_accumulator_value", start, "Give 0 or more.")
        require_above_zero(self, "epsilon")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.Adagrad(
            self.rate(learning_rate),
            initial_accumulator_value=self.initial_accumulator_value,
            epsilon=self.epsilon,
            weight_decay=None,
        )
