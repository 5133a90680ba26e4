"""Cross-entropy with label smoothing (Szegedy et al. 2016, arXiv:1512.00567)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.lazy import Tensor
from tlcli.options.loss._base import (
    Weighted,
    check_class_weight,
    check_label_smoothing,
    class_weights,
    image_weights,
    mean_one_over_images,
    smoothed,
    softmax_cross_entropy,
)


@dataclass(frozen=True)
class Loss(Weighted):
    """Cross-entropy of the softmax with labels that sum to 1.

    Attributes:
        label_smoothing: Share of the uniform distribution in the labels, from 0, below 1.
        class_weight: balanced, a mapping from class name to weight, or null. An image weighs what
            its labels weigh on average; the mean over the training set is 1.
    """

    label_smoothing: float

    activation = "softmax"
    multi_label = False

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_class_weight(self.class_weight)

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """Class weights, float64 (classes,), or None."""
        weights = class_weights(self.class_weight, class_counts, class_names)
        return None if weights is None else mean_one_over_images(weights, class_counts)

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        losses = softmax_cross_entropy(smoothed(labels, self.label_smoothing), logits)
        return image_weights(labels, per_class) * losses
