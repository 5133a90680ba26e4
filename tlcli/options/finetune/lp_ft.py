"""Linear probing, then fine-tuning (Kumar et al. 2022, arXiv:2202.10054).

A random head sends large gradients into the backbone and distorts features that were good; a head
that is trained first does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, every_block, head_only
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """Head first, then everything.

    Attributes:
        probe_rate: Multiplier of the optimizer's learning rate while the head is alone, above 0.
        probe_fraction: Part of the epochs for the head alone, in (0, 1).
        rate: Multiplier of the optimizer's learning rate in the second phase, above 0.
    """

    probe_fraction: float
    probe_rate: float
    rate: float

    def __post_init__(self) -> None:
        part = self.probe_fraction
        require(0 < part < 1, "finetune.probe_fraction", part, "Give a number in (0, 1).")
        require(
            self.probe_rate > 0, "finetune.probe_rate", self.probe_rate, "Give a number above 0."
        )
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """Two phases."""
        probe = epochs * self.probe_fraction
        return (
            Phase("linear probe", probe, head_only(blocks), self.probe_rate),
            Phase("fine-tune all", epochs - probe, every_block(blocks), self.rate),
        )
