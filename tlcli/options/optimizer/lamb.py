"""LAMB (You et al. 2020, arXiv:1904.00962)."""

import math
from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero, require_decay_rate
from tlcli.errors import require


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Adam's direction, with each kernel's update as long as its weights.

    Normalisation weights and biases take Adam's own step, as in the authors' code. Weight decay is
    decoupled, so it stands outside that length, unlike in the paper.

    Attributes:
        beta_1: Decay of the mean of gradients, from 0, below 1.
        beta_2: Decay of the mean of squared gradients, from 0, below 1.
        epsilon: Added to the root of that mean, above 0.
        least_size: Least root mean square that a kernel is taken to have, 0 or more; with 0 a head
            that starts at zero stays near it.
    """

    beta_1: float
    beta_2: float
    epsilon: float
    least_size: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_decay_rate(self, "beta_1", "beta_2")
        require_above_zero(self, "epsilon")
        remedy = "Give 0 or more."
        require(0 <= self.least_size < math.inf, "optimizer.least_size", self.least_size, remedy)

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        from tlcli.options.optimizer._lamb import Lamb

        return Lamb(
            self.rate(learning_rate),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            least_size=self.least_size,
            weight_decay=None,
        )
