"""Adafactor (Shazeer and Stern 2018, arXiv:1804.04235)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero
from tlcli.errors import require
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Adam's second moments kept as rows and columns; updates relative to the weights' size.

    The rate of a step is the smaller of the learning rate and 1 / sqrt(step), as in the paper.

    Attributes:
        beta_2_decay: Exponent of the second moments' decay 1 - step ** beta_2_decay, below 0.
        epsilon_1: Added to squared gradients, above 0.
        epsilon_2: Least size that weights are taken to have, above 0.
        clip_threshold: Largest root mean square of an update, above 0.
    """

    beta_2_decay: float
    epsilon_1: float
    epsilon_2: float
    clip_threshold: float

    def __post_init__(self) -> None:
        super().__post_init__()
        remedy = "Give a number below 0."
        require(self.beta_2_decay < 0, "optimizer.beta_2_decay", self.beta_2_decay, remedy)
        require_above_zero(self, "epsilon_1", "epsilon_2", "clip_threshold")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.Adafactor(
            self.rate(learning_rate),
            beta_2_decay=self.beta_2_decay,
            epsilon_1=self.epsilon_1,
            epsilon_2=self.epsilon_2,
            clip_threshold=self.clip_threshold,
            relative_step=False,
            weight_decay=None,
        )
