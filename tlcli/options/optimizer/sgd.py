"""Gradient descent with momentum (Sutskever et al. 2013)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_decay_rate
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Momentum is applied to the update, learning rate included.

    Attributes:
        momentum: Share of the last update that is kept, from 0, below 1.
        nesterov: Look ahead by the momentum.
    """

    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        require_decay_rate(self, "momentum")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.SGD(
            self.rate(learning_rate),
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=None,
        )
