"""Muon (Jordan et al. 2024), scaled as by Liu et al. 2025, arXiv:2502.16982."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import optimizer
from tlcli.contracts.optimizer import require_above_zero, require_decay_rate
from tlcli.errors import require


@dataclass(frozen=True)
class Optimizer(optimizer.Optimizer):
    """Orthogonal updates of matrices, AdamW for all that is not a matrix.

    The kernel of a convolution is a matrix of (height * width * inputs, outputs), as its authors
    take it. Depthwise kernels and those of attention with a head axis are not matrices.

    Attributes:
        momentum: Decay of the sum of gradients, from 0, below 1.
        nesterov: Look ahead by the momentum.
        ns_steps: Newton-Schulz iterations, 1 or more.
        rms_rate: Root mean square of an update at rate 1; null leaves its spectral norm near 1.
        exclude_layers: Regular expressions; a matrix whose path holds one gets AdamW. Output layers
            belong here.
        beta_1: AdamW's decay of the mean of gradients, from 0, below 1.
        beta_2: AdamW's decay of the mean of squared gradients, from 0, below 1.
        epsilon: AdamW's addend, above 0.
        adam_rate: Learning rate of AdamW over that of Muon, above 0.
    """

    momentum: float
    nesterov: bool
    ns_steps: int
    rms_rate: float | None
    exclude_layers: tuple[str, ...]
    beta_1: float
    beta_2: float
    epsilon: float
    adam_rate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.ns_steps >= 1, "optimizer.ns_steps", self.ns_steps, "Give 1 or more.")
        require_decay_rate(self, "momentum", "beta_1", "beta_2")
        require_above_zero(self, "rms_rate", "epsilon", "adam_rate")

    def build(self, learning_rate: Any = None) -> Any:
        """The Keras optimizer, without weight decay."""
        from tlcli.options.optimizer._muon import Muon

        return Muon(
            self.rate(learning_rate),
            momentum=self.momentum,
            nesterov=self.nesterov,
            ns_steps=self.ns_steps,
            rms_rate=self.rms_rate,
            exclude_layers=list(self.exclude_layers),
            adam_beta_1=self.beta_1,
            adam_beta_2=self.beta_2,
            epsilon=self.epsilon,
            adam_lr_ratio=self.adam_rate,
            adam_weight_decay=None,
            weight_decay=None,
        )
