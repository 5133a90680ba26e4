"""Plain pooling plus attention pooling with one learned query."""

from dataclasses import dataclass
from typing import Literal

from tlcli.contracts import head
from tlcli.errors import require
from tlcli.lazy import Tensor, keras
from tlcli.options.head import _pooling


@dataclass(frozen=True)
class Head(head.Head):
    """The query learns which positions matter; at first the head is a linear one.

    Attributes:
        num_heads: Attention heads; must divide the backbone's channels.
        pooling: What attention is added to.
        dropout: Share of the pooled features set to 0 in training, [0, 1).
        zero_init: Start with all logits 0.
    """

    num_heads: int
    pooling: Literal["avg", "max", "avgmax", "gem"]
    dropout: float
    zero_init: bool

    def __post_init__(self) -> None:
        _pooling.check(self.dropout)
        require(self.num_heads > 0, "head.num_heads", self.num_heads, "Give a number above 0.")

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, channels) and float32 logits (batch, num_classes).

        Raises:
            ConfigError: The heads do not divide the channels, or there are no positions.
        """
        from tlcli.options.head._layers import AttentionPool

        channels = features.shape[-1]
        require(
            channels % self.num_heads == 0,
            "head.num_heads",
            self.num_heads,
            f"Give a divisor of the backbone's {channels} channels.",
        )
        require(
            len(features.shape) > 2,
            "head",
            "attention",
            "The backbone gives one vector an image; give head=linear.",
        )
        pooled = _pooling.pool(features, self.pooling)
        attended = AttentionPool(self.num_heads, name="head_attention")(features)
        embedding = keras.layers.Add(dtype="float32", name="head_embedding")([pooled, attended])
        dropped = _pooling.drop(embedding, self.dropout)
        return embedding, _pooling.dense_logits(dropped, num_classes, self.zero_init)
