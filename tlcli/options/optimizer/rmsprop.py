"""RMSprop (Tieleman and Hinton 2012)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero, require_decay_rate
from tlcli.lazy import keras


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Gradient divided by the root of its mean square, epsilon inside the root.

    Attributes:
        rho: Decay of the mean of squared gradients, from 0, below 1.
        momentum: Share of the last update that is kept, from 0, below 1.
        epsilon: Added to that mean, above 0.
        centered: Divide by the standard deviation.
    """

    rho: float
    momentum: float
    epsilon: float
    centered: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        require_decay_rate(self, "rho", "momentum")
        require_above_zero(self, "epsilon")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        return keras.optimizers.RMSprop(
            self.rate(learning_rate),
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            centered=self.centered,
            weight_decay=None,
        )
