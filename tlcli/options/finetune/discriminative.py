"""Layer-wise rate decay: the deeper a block lies below the head, the slower it moves.

Howard and Ruder 2018, arXiv:1801.06146; factor 0.75 as in BEiT (Bao et al. 2022, arXiv:2106.08254).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, head_only, rates_by_block
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """All blocks at once, each at its own rate.

    Attributes:
        decay: Factor of the rate for each block below the head, in (0, 1].
        rate: Multiplier of the optimizer's learning rate, above 0.
        head_rate: Multiplier of the head's rate on top, above 0.
        probe_rate: Multiplier of the optimizer's learning rate while the head is alone, above 0.
        probe_fraction: Part of the epochs that the head is trained alone first, in [0, 1).
    """

    decay: float
    rate: float
    head_rate: float
    probe_fraction: float
    probe_rate: float

    def __post_init__(self) -> None:
        require(0 < self.decay <= 1, "finetune.decay", self.decay, "Give a number in (0, 1].")
        require(
            self.probe_rate > 0, "finetune.probe_rate", self.probe_rate, "Give a number above 0."
        )
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        require(self.head_rate > 0, "finetune.head_rate", self.head_rate, "Give a number above 0.")
        part = self.probe_fraction
        require(0 <= part < 1, "finetune.probe_fraction", part, "Give a number in [0, 1).")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase, or two with the probe."""
        top = len(blocks) - 1

        def multiplier(index: int, block: Block) -> float:
            return self.head_rate if block.name == "head" else self.decay ** (top - index)

        probe = epochs * self.probe_fraction
        rates = rates_by_block(blocks, multiplier)
        tuned = Phase("fine-tune by depth", epochs - probe, rates, self.rate)
        return (
            (Phase("linear probe", probe, head_only(blocks), self.probe_rate), tuned)
            if probe
            else (tuned,)
        )
