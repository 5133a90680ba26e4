"""Train the head on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, head_only
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """The backbone stays as it is; its outputs are computed once.

    Attributes:
        rate: Multiplier of the optimizer's learning rate, above 0; a head alone takes a higher one.
    """

    rate: float

    def __post_init__(self) -> None:
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase."""
        return (Phase("linear probe", epochs, head_only(blocks), self.rate),)
