"""Pooling and one dense layer."""

from dataclasses import dataclass
from typing import Literal

from tlcli.contracts import head
from tlcli.lazy import Tensor
from tlcli.options.head import _pooling


@dataclass(frozen=True)
class Head(head.Head):
    """Logits as an affine function of the pooled features.

    Attributes:
        pooling: How maps and tokens become one vector.
        dropout: Share of the pooled features set to 0 in training, [0, 1).
        zero_init: Start with all logits 0.
    """

    pooling: Literal["avg", "max", "avgmax", "gem"]
    dropout: float
    zero_init: bool

    def __post_init__(self) -> None:
        _pooling.check(self.dropout)

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, channels) and float32 logits (batch, num_classes)."""
        embedding = _pooling.pool(features, self.pooling)
        dropped = _pooling.drop(embedding, self.dropout)
        return embedding, _pooling.dense_logits(dropped, num_classes, self.zero_init)
