"""Train low-rank factors beside frozen kernels (LoRA, Hu et al. 2021, arXiv:2106.09685).

The factors are merged into the kernels when the training ends; its result is a plain model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Lora, Phase, rates_by_block
from tlcli.errors import ConfigError, require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """The head, and factors A (inputs, rank) and B (rank, outputs) of some kernels.

    Attributes:
        rank: Inner size of the factors, 1 or more.
        alpha: Numerator of the factor of A B, above 0.
        scaling: Denominator: the rank (Hu et al. 2021), or its root (rsLoRA, Kalajdzievski 2023,
            arXiv:2312.03732).
        targets: Regular expressions; dense layers and convolutions of the backbone whose whole
            name or path matches one get factors. None takes all dense layers and 1x1 convolutions.
        rate: Multiplier of the optimizer's learning rate for the factors, above 0.
        head_rate: Multiplier of the optimizer's learning rate for the head, above 0.
    """

    rank: int
    alpha: float
    scaling: Literal["rank", "root"]
    targets: tuple[str, ...] | None
    rate: float
    head_rate: float

    def __post_init__(self) -> None:
        require(self.rank >= 1, "finetune.rank", self.rank, "Give 1 or more.")
        require(self.alpha > 0, "finetune.alpha", self.alpha, "Give a number above 0.")
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        require(self.head_rate > 0, "finetune.head_rate", self.head_rate, "Give a number above 0.")
        remedy = "Give regular expressions, or null for dense layers and 1x1 convolutions."
        require(self.targets != (), "finetune.targets", [], remedy)
        for pattern in self.targets or ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    "finetune.targets", f"{pattern!r} is no regular expression: {error}", "Mend it."
                ) from None

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase."""
        divisor = self.rank if self.scaling == "rank" else self.rank**0.5
        lora = Lora(self.rank, self.alpha / divisor, self.targets)
        rates = rates_by_block(
            blocks, lambda _, block: self.head_rate if block.name == "head" else self.rate
        )
        return (Phase("low-rank factors", epochs, rates, only="lora", lora=lora),)
