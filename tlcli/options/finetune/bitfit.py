"""Train biases, normalisation and the head (BitFit, Ben Zaken et al. 2022, arXiv:2106.10199)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, every_block
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """A few numbers in each layer.

    Attributes:
        rate: Multiplier of the optimizer's learning rate, above 0.
        head_rate: Multiplier of the head's rate on top, above 0.
    """

    rate: float
    head_rate: float

    def __post_init__(self) -> None:
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        require(self.head_rate > 0, "finetune.head_rate", self.head_rate, "Give a number above 0.")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase."""
        rates = every_block(blocks, self.head_rate)
        return (Phase("biases and norms", epochs, rates, self.rate, only="bias_norm"),)
