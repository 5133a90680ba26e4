"""Cross-entropy weighted by effective numbers of images (Cui et al. 2019, arXiv:1901.05555)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.contracts import loss
from tlcli.errors import require
from tlcli.lazy import Tensor, np
from tlcli.options.loss._base import (
    check_label_smoothing,
    image_weights,
    mean_one_over_images,
    smoothed,
    softmax_cross_entropy,
)


@dataclass(frozen=True)
class Loss(loss.Loss):
    """A class of n images weighs (1 - beta) / (1 - beta ** n); the mean of all images is 1.

    Attributes:
        beta: From 0, below 1; 0 weighs all classes equally, towards 1 by one over the count.
        label_smoothing: Share of the uniform distribution in the labels, from 0, below 1.
    """

    beta: float
    label_smoothing: float

    activation = "softmax"
    multi_label = False
    needs_training_set = True

    def __post_init__(self) -> None:
        require(0 <= self.beta < 1, "loss.beta", self.beta, "Give a number from 0, below 1.")
        check_label_smoothing(self.label_smoothing)

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """Class weights, float64 (classes,); 0 for a class without images."""
        effective = (1 - self.beta ** np.maximum(class_counts, 1)) / (1 - self.beta)
        weights = np.where(class_counts > 0, 1 / effective, 0.0)
        return mean_one_over_images(weights, class_counts)

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        losses = softmax_cross_entropy(smoothed(labels, self.label_smoothing), logits)
        return image_weights(labels, per_class) * losses
