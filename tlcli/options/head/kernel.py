"""Gaussian-kernel classifier by random Fourier features (Rahimi and Recht 2007, NeurIPS 20)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts import head
from tlcli.errors import require
from tlcli.lazy import Tensor, np
from tlcli.options.head import _pooling

# All pairs of 1,000 vectors are half a million distances, enough for a median.
SAMPLE = 1000


@dataclass(frozen=True)
class Head(head.Head):
    """A linear classifier on random cosines of the pooled features.

    Attributes:
        num_features: Number of cosines; more come closer to the kernel.
        bandwidth: Distance at which the kernel falls to exp(-1/2), above 0; null for the median
            distance between training images, measured by `fit`.
        seed: Decides the random directions.
        pooling: How maps and tokens become one vector.
        dropout: Share of the cosines set to 0 in training, [0, 1).
        zero_init: Start with all logits 0.
    """

    num_features: int
    bandwidth: float | None
    seed: int
    pooling: Literal["avg", "max", "avgmax", "gem"]
    dropout: float
    zero_init: bool

    needs_data: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _pooling.check(self.dropout)
        require(
            self.num_features > 0, "head.num_features", self.num_features, "Give a number above 0."
        )
        require(
            self.bandwidth is None or self.bandwidth > 0,
            "head.bandwidth",
            self.bandwidth,
            "Give a number above 0, or null.",
        )
        require(self.seed >= 0, "head.seed", self.seed, "Give 0 or more.")

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, channels) and float32 logits (batch, num_classes)."""
        from tlcli.options.head._layers import RandomFourierFeatures

        embedding = _pooling.pool(features, self.pooling)
        cosines = RandomFourierFeatures(
            self.num_features, self.bandwidth or 1.0, self.seed, name="head_kernel"
        )(embedding)
        dropped = _pooling.drop(cosines, self.dropout)
        return embedding, _pooling.dense_logits(dropped, num_classes, self.zero_init)

    def fit(self, model: Any, embeddings: Any) -> None:
        """Set the bandwidth to the median distance between two training images.

        Args:
            model: The keras.Model that holds the layer "head_kernel".
            embeddings: Float32 (samples, dim) of training images, 2 or more.
        """
        if self.bandwidth is not None:
            return
        chosen = np.random.default_rng(self.seed).permutation(len(embeddings))[:SAMPLE]
        sample = np.asarray(embeddings, np.float64)[chosen]
        sample = sample - sample.mean(axis=0)
        squares = np.sum(sample**2, axis=1)
        squared = squares[:, None] + squares[None, :] - 2 * sample @ sample.T
        pairs = squared[np.triu_indices(len(sample), k=1)]
        median = float(np.sqrt(np.median(np.maximum(pairs, 0)))) if len(pairs) else 0.0
        model.get_layer("head_kernel").bandwidth.assign(median or 1.0)
