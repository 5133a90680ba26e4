"""Cosine classifier (Gidaris and Komodakis 2018, arXiv:1804.09458)."""

from dataclasses import dataclass
from typing import Literal

from tlcli.contracts import head
from tlcli.errors import require
from tlcli.lazy import Tensor
from tlcli.options.head import _pooling


@dataclass(frozen=True)
class Head(head.Head):
    """Logits are a learnable scale times the cosine to one vector a class.

    Attributes:
        scale: First value of the factor, above 0.
        pooling: How maps and tokens become one vector.
        dropout: Share of the pooled features set to 0 in training, [0, 1).
    """

    scale: float
    pooling: Literal["avg", "max", "avgmax", "gem"]
    dropout: float

    def __post_init__(self) -> None:
        _pooling.check(self.dropout)
        require(self.scale > 0, "head.scale", self.scale, "Give a number above 0.")

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, channels) and float32 logits (batch, num_classes)."""
        from tlcli.options.head._layers import CosineLogits

        embedding = _pooling.pool(features, self.pooling)
        dropped = _pooling.drop(embedding, self.dropout)
        return embedding, CosineLogits(num_classes, self.scale, name="head_logits")(dropped)
