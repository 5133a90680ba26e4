"""Unfreeze from the top, some blocks a phase (Howard and Ruder 2018, arXiv:1801.06146)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, head_only, rates_by_block
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """The head first; then each phase adds the next blocks below.

    Attributes:
        stages: Phases after the head's, 1 or more; blocks are spread evenly over them.
        probe_rate: Multiplier of the optimizer's learning rate while the head is alone, above 0.
        rate: Multiplier of the optimizer's learning rate after the first phase, above 0.
        decay: What a block's rate is multiplied by for each stage below the top, in (0, 1].
    """

    stages: int
    probe_rate: float
    rate: float
    decay: float

    def __post_init__(self) -> None:
        require(self.stages >= 1, "finetune.stages", self.stages, "Give 1 or more.")
        require(
            self.probe_rate > 0, "finetune.probe_rate", self.probe_rate, "Give a number above 0."
        )
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        require(0 < self.decay <= 1, "finetune.decay", self.decay, "Give a number in (0, 1].")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase for the head and at most `stages` more."""
        body = [block for block in blocks if block.name != "head"]
        stages = min(self.stages, len(body))
        share = epochs / (stages + 1)
        found = [Phase("head", share, head_only(blocks), self.probe_rate)]
        for stage in range(1, stages + 1):
            first = len(body) - round(len(body) * stage / stages)
            named = f"unfreeze {body[first].name} on"
            found.append(Phase(named, share, self._rates(blocks, first), self.rate))
        return tuple(found)

    def _rates(self, blocks: Sequence[Block], first: int) -> dict[str, float]:
        top = len(blocks) - 1
        step = max(1.0, top / self.stages)

        def multiplier(index: int, block: Block) -> float:
            if block.name == "head":
                return 1.0
            return float(self.decay ** int((top - 1 - index) / step)) if index >= first else 0.0

        return rates_by_block(blocks, multiplier)
