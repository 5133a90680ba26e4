"""Cross-entropy of logits shifted by the class priors (Menon et al. 2021, arXiv:2007.07314)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.contracts import loss
from tlcli.errors import require
from tlcli.lazy import Tensor, np
from tlcli.options.loss._base import check_label_smoothing, smoothed, softmax_cross_entropy


@dataclass(frozen=True)
class Loss(loss.Loss):
    """Training adds `strength` * log(prior) to the logits; evaluation and use leave them plain.

    Attributes:
        strength: The paper's tau, 0 or more; 1 aims at the balanced error, 0 at the plain one.
        label_smoothing: Share of the uniform distribution in the labels, from 0, below 1.
    """

    strength: float
    label_smoothing: float

    activation = "softmax"
    multi_label = False
    needs_training_set = True

    def __post_init__(self) -> None:
        require(self.strength >= 0, "loss.strength", self.strength, "Give 0 or more.")
        check_label_smoothing(self.label_smoothing)

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """What is added to the logits, float64 (classes,); an empty class counts as one image."""
        return self.strength * np.log(np.maximum(class_counts, 1) / np.sum(class_counts))

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        labels = smoothed(labels, self.label_smoothing)
        return softmax_cross_entropy(labels, logits + per_class)
