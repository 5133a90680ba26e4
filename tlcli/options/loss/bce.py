"""Binary cross-entropy of each class (as in Wightman et al. 2021, arXiv:2110.00476)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.lazy import Tensor, ops
from tlcli.options.loss._base import (
    Weighted,
    check_class_weight,
    check_label_smoothing,
    class_weights,
    mean_one_over_classes,
    over_classes,
)


@dataclass(frozen=True)
class Loss(Weighted):
    """Every class is a yes-or-no question; works for multi-hot, one-hot and soft labels.

    Attributes:
        label_smoothing: Share of one half in each class's label, from 0, below 1.
        reduction: sum or mean over the classes of an image.
        class_weight: balanced, a mapping from class name to weight, or null. A class's term is
            multiplied by its weight; the mean over the classes is 1.
    """

    label_smoothing: float
    reduction: Literal["sum", "mean"]

    activation = "sigmoid"
    multi_label = None

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_class_weight(self.class_weight)

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """Class weights, float64 (classes,), or None."""
        weights = class_weights(self.class_weight, class_counts, class_names)
        return None if weights is None else mean_one_over_classes(weights)

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        labels = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
        # Two softplus keep the digits that softplus(logits) - labels * logits cancels.
        terms = labels * ops.softplus(-logits) + (1 - labels) * ops.softplus(logits)
        return over_classes(terms, per_class, self.reduction)
