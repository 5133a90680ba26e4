"""Lion (Chen et al. 2023, arXiv:2302.06675)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_decay_rate
from tlcli.errors import require
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """The sign of a mean of gradients; wants a rate 3 to 10 times lower than AdamW's.

    Attributes:
        beta_1: Weight of the mean in the update, from 0, below 1.
        beta_2: Decay of the mean of gradients, from 0, below 1.
    """

    beta_1: float
    beta_2: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.beta_1 > 0, "optimizer.beta_1", self.beta_1, "Give a number above 0.")
        require_decay_rate(self, "beta_1", "beta_2")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.Lion(
            self.rate(learning_rate),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            weight_decay=None,
        )
