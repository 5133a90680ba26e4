"""Train the head and a chosen part of the backbone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tlcli.contracts import finetune
from tlcli.contracts.finetune import Block, Phase, rates_by_block
from tlcli.errors import ConfigError, nearest, require


@dataclass(frozen=True)
class Finetune(finetune.Finetune):
    """The head and some blocks or layers; exactly one way of choosing is given.

    Attributes:
        last_blocks: The last n blocks before the head.
        from_layer: This layer and all that follow.
        patterns: Regular expressions; a layer whose whole name matches one is trained.
        rate: Multiplier of the optimizer's learning rate, above 0.
        head_rate: Multiplier of the head's rate on top, above 0.
    """

    last_blocks: int | None
    from_layer: str | None
    patterns: tuple[str, ...] | None
    rate: float
    head_rate: float

    def __post_init__(self) -> None:
        given = [v for v in (self.last_blocks, self.from_layer, self.patterns) if v is not None]
        if len(given) != 1:
            raise ConfigError(
                "finetune", f"{len(given)} ways of choosing layers are given",
                "Give one of last_blocks, from_layer, patterns and null for the others.",
            )  # fmt: skip
        last = self.last_blocks
        require(last is None or last >= 1, "finetune.last_blocks", last, "Give 1 or more.")
        require(self.rate > 0, "finetune.rate", self.rate, "Give a number above 0.")
        require(self.head_rate > 0, "finetune.head_rate", self.head_rate, "Give a number above 0.")
        for pattern in self.patterns or ():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    "finetune.patterns", f"{pattern!r} is no regular expression: {error}",
                    "Mend it.",
                ) from None  # fmt: skip

    def phases(self, blocks: Sequence[Block], epochs: float) -> tuple[Phase, ...]:
        """One phase.

        Raises:
            ConfigError: Nothing of the backbone is chosen.
        """
        head = {
            layer: self.head_rate
            for block in blocks
            if block.name == "head"
            for layer in block.layers
        }
        return (Phase("fine-tune part", epochs, head | self._chosen(blocks), self.rate),)

    def _chosen(self, blocks: Sequence[Block]) -> dict[str, float]:
        body = [block for block in blocks if block.name != "head"]
        layers = [layer for block in body for layer in block.layers]
        if self.last_blocks is not None:
            fits = 1 <= self.last_blocks <= len(body)
            remedy = f"The backbone has {len(body)} blocks: {', '.join(b.name for b in body)}."
            require(fits, "finetune.last_blocks", self.last_blocks, remedy)
            return rates_by_block(body[-self.last_blocks :], lambda *_: 1.0)
        if self.from_layer is not None:
            if self.from_layer not in layers:
                raise ConfigError(
                    "finetune.from_layer", f"no layer with weights is called {self.from_layer!r}",
                    nearest(self.from_layer, layers),
                )  # fmt: skip
            return dict.fromkeys(layers[layers.index(self.from_layer) :], 1.0)
        patterns = self.patterns or ()
        found = {n: 1.0 for n in layers if any(re.fullmatch(p, n) for p in patterns)}
        if not found:
            raise ConfigError(
                "finetune.patterns", f"no layer matches {list(patterns)}",
                f"Layers are called like {', '.join(layers[:3])}.",
            )  # fmt: skip
        return found
