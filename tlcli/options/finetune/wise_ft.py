"""Fine-tune, then mix start and end weights (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903)."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, every_block, head_only
from tlcli.errors import require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """LP-FT whose result is the mixture of both phases that validates best.

    Attributes:
        mixing: Factors of the fine-tuned weights to try, each in [0, 1].
        probe_rate: Multiplier of the optimizer's learning rate while the head is alone, above 0.
        probe_fraction: Part of the epochs for the head alone, in (0, 1).
        rate: Multiplier of the optimizer's learning rate in the second phase, above 0.
    """

    mixing: tuple[float, ...]
    probe_fraction: float
    probe_rate: float
    rate: float

    def __post_init__(self) -> None:
        fits = bool(self.mixing) and all(0 <= m <= 1 for m in self.mixing)
        require(fits, "finetune.mixing", list(self.mixing), "Give numbers from 0 to 1.")
        part = self.probe_fraction
        require(0 < part < 1, "finetune.probe_fraction", part, "Give a number in (0, 1).")
        require(
            self.probe_rate > 0, "finetune.probe_rate", self.probe_rate, "Give a number above 0."
        )
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")

    @property
    def mixing_factors(self) -> tuple[float, ...]:
        """The field `mixing`."""
        return self.mixing

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """Two phases; the mixture lies between their results."""
        probe = epochs * self.probe_fraction
        return (
            Phase("linear probe", probe, head_only(blocks), self.probe_rate),
            Phase("fine-tune all", epochs - probe, every_block(blocks), self.rate),
        )
