"""Fine-tune near the starting point (L2-SP, Li et al. 2018, arXiv:1802.01483)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, every_block, head_only
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """Everything is trained, and the backbone is drawn back to its pretrained weights.

    Attributes:
        start_penalty: Factor of half the squared distance of the backbone from its start, >= 0.
        head_penalty: Factor of half the squared weights of the head, >= 0.
        rate: Multiplier of the optimizer's learning rate, above 0.
        probe_rate: Multiplier of the optimizer's learning rate while the head is alone, above 0.
        probe_fraction: Part of the epochs that the head is trained alone first, in [0, 1).
    """

    start_penalty: float
    head_penalty: float
    rate: float
    probe_fraction: float
    probe_rate: float

    def __post_init__(self) -> None:
        for name in ("start_penalty", "head_penalty"):
            given = getattr(self, name)
            require(given >= 0, f"finetune.{name}", given, "Give 0 or more.")
        require(
            self.probe_rate > 0, "finetune.probe_rate", self.probe_rate, "Give a number above 0."
        )
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        part = self.probe_fraction
        require(0 <= part < 1, "finetune.probe_fraction", part, "Give a number in [0, 1).")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase, or two with the probe."""
        probe = epochs * self.probe_fraction
        tuned = Phase(
            "fine-tune near the start", epochs - probe, every_block(blocks), self.rate,
            start_penalty=self.start_penalty, head_penalty=self.head_penalty,
        )  # fmt: skip
        return (
            (Phase("linear probe", probe, head_only(blocks), self.probe_rate), tuned)
            if probe
            else (tuned,)
        )
