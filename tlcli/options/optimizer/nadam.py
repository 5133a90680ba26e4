"""Nadam, Adam with Nesterov's momentum (Dozat 2016)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero, require_decay_rate
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Adam that looks ahead.

    The momentum rises by Keras' schedule, beta_1 (1 - 0.96^t / 2): it is near beta_1 after 100
    steps. The paper's and PyTorch's has t/250 in the place of t and takes 25,000.

    Attributes:
        beta_1: Decay of the mean of gradients, from 0, below 1.
        beta_2: Decay of the mean of squared gradients, from 0, below 1.
        epsilon: Added to the root of that mean, above 0.
    """

    beta_1: float
    beta_2: float
    epsilon: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_decay_rate(self, "beta_1", "beta_2")
        require_above_zero(self, "epsilon")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.Nadam(
            self.rate(learning_rate),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=None,
        )
