"""Fine-tuning strategies as lists of phases.

A new option is a frozen dataclass `Finetune` that subclasses `Finetune` of this module and has the
method `phases`; `mixing_factors` where the result is mixed with the starting point.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Block:
    """A part of the model that is treated alike.

    Attributes:
        name: As the plan prints it.
        layers: Names of its layers.
    """

    name: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Lora:
    """Low-rank factors beside kernels: each computes with kernel + scale * A B.

    Attributes:
        rank: Columns of A and rows of B.
        scale: Factor of their product.
        targets: Regular expressions of whole layer names or paths; None takes all dense layers and
            1x1 convolutions of the backbone.
    """

    rank: int
    scale: float
    targets: tuple[str, ...] | None


@dataclass(frozen=True)
class Phase:
    """One part of the training.

    Attributes:
        name: As the plan prints it.
        epochs: Its length.
        rates: Multiplier of the phase's learning rate by layer name; a layer that is not named is
            frozen.
        rate: Multiplier of the optimizer's learning rate.
        only: "all" weights of those layers, "bias_norm": biases and normalisation alone, or
            "lora": low-rank factors alone. The head is trained whole.
        start_penalty: Factor of half the squared distance of the backbone's weights from where the
            phase began.
        head_penalty: Factor of half the squared weights of the head.
        lora: Factors that this phase and later ones compute with, or None.
    """

    name: str
    epochs: float
    rates: Mapping[str, float] = field(default_factory=dict)
    rate: float = 1.0
    only: str = "all"
    start_penalty: float = 0.0
    head_penalty: float = 0.0
    lora: Lora | None = None


class Finetune(ABC):
    """What every option has."""

    @abstractmethod
    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """The parts of the training, in order.

        Args:
            blocks: The model's blocks, stem first, head last (its name is "head").
            epochs: What the user gave; the phases share it.
        """

    @property
    def mixing_factors(self) -> tuple[float, ...]:
        """Factors of the trained weights, from 0 to 1, to choose from on validation.

        The rest of each mixture is the weights that the training began with (WiSE-FT). Empty: the
        trained weights are the result.
        """
        return ()


def rates_by_block(
    blocks: Sequence[Block], multiplier: Callable[[int, Block], float]
) -> dict[str, float]:
    """Multiplier of each layer from that of its block; blocks at 0 are left out."""
    found: dict[str, float] = {}
    for index, block in enumerate(blocks):
        rate = multiplier(index, block)
        found |= {layer: rate for layer in block.layers if rate > 0}
    return found


def head_only(blocks: Sequence[Block]) -> dict[str, float]:
    """Rates that train the head and freeze the backbone."""
    return rates_by_block(blocks, lambda _, block: float(block.name == "head"))


def every_block(blocks: Sequence[Block], head_rate: float = 1.0) -> dict[str, float]:
    """Rates that train every block of the backbone alike, and the head at a rate of its own."""
    return rates_by_block(blocks, lambda _, block: head_rate if block.name == "head" else 1.0)
