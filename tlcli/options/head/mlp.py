"""Pooling and a small multilayer perceptron."""

from dataclasses import dataclass
from typing import Literal

from tlcli.contracts import head
from tlcli.errors import require
from tlcli.lazy import Tensor, keras
from tlcli.options.head import _pooling


@dataclass(frozen=True)
class Head(head.Head):
    """Hidden dense layers between the pooled features and the logits.

    Attributes:
        hidden: Units of each hidden layer, each above 0.
        activation: Of the hidden layers.
        pooling: How maps and tokens become one vector.
        dropout: Share set to 0 in training before each dense layer, [0, 1).
        zero_init: Start with all logits 0.
    """

    hidden: tuple[int, ...]
    activation: Literal["gelu", "relu"]
    pooling: Literal["avg", "max", "avgmax", "gem"]
    dropout: float
    zero_init: bool

    def __post_init__(self) -> None:
        _pooling.check(self.dropout)
        require(
            self.hidden and all(units > 0 for units in self.hidden),
            "head.hidden",
            list(self.hidden),
            "Give one or more numbers above 0, as [512].",
        )

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, channels) and float32 logits (batch, num_classes)."""
        embedding = hidden = _pooling.pool(features, self.pooling)
        for number, units in enumerate(self.hidden, start=1):
            hidden = _pooling.drop(hidden, self.dropout, f"head_dropout{number}")
            hidden = keras.layers.Dense(
                units, activation=self.activation, name=f"head_hidden{number}"
            )(hidden)
        hidden = _pooling.drop(hidden, self.dropout)
        return embedding, _pooling.dense_logits(hidden, num_classes, self.zero_init)
