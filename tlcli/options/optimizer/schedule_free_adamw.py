"""Schedule-free AdamW (Defazio et al. 2024, arXiv:2405.15682)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero, require_decay_rate


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """AdamW whose averaged weights need no fall of the learning rate: use schedule=constant.

    The averaged weights are for evaluation, those in the model for training: see
    `_rates.evaluation_weights`.

    Attributes:
        beta_1: Share of the average in the weights that are trained, above 0, below 1.
        beta_2: Decay of the mean of squared gradients, from 0, below 1.
        epsilon: Added to the root of that mean, above 0.
    """

    beta_1: float
    beta_2: float
    epsilon: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_above_zero(self, "beta_1", "epsilon")
        require_decay_rate(self, "beta_1", "beta_2")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        from tlcli.options.optimizer._schedule_free import ScheduleFreeAdamW

        return ScheduleFreeAdamW(
            self.rate(learning_rate),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=None,
        )
