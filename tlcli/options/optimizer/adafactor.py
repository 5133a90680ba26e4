"""Adafactor (Shazeer and Stern 2018, arXiv:1804.04235)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero
from tlcli.errors import require


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Adam's second moments kept as rows and columns.

    Attributes:
        beta_2_decay: Exponent of the second moments' decay 1 - step ** beta_2_decay, below 0.
        epsilon_1: Added to squared gradients, above 0.
        epsilon_2: Least size that weights are taken to have, above 0.
        clip_threshold: Largest root mean square of an update at rate 1, above 0.
        relative: Whether an update is also multiplied by the weights' size, and the rate held below
            1 / sqrt(step), as in the paper. Offsets and heads that start at zero then hardly move;
            without it, rates are those of AdamW (Zhai et al. 2022, arXiv:2106.04560, appendix).
    """

    beta_2_decay: float
    epsilon_1: float
    epsilon_2: float
    clip_threshold: float
    relative: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        remedy = "Give a number below 0."
        require(self.beta_2_decay < 0, "optimizer.beta_2_decay", self.beta_2_decay, remedy)
        require_above_zero(self, "epsilon_1", "epsilon_2", "clip_threshold")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        from tlcli.options.optimizer._adafactor import Adafactor

        return Adafactor(
            self.rate(learning_rate),
            beta_2_decay=self.beta_2_decay,
            epsilon_1=self.epsilon_1,
            epsilon_2=self.epsilon_2,
            clip_threshold=self.clip_threshold,
            relative=self.relative,
            relative_step=False,
            weight_decay=None,
        )
