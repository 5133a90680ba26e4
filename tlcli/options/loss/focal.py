"""Focal loss, less weight for what is already right (Lin et al. 2017, arXiv:1708.02002)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.loss._base import (
    Weighted,
    check_class_weight,
    class_weights,
    image_weights,
    mean_one_over_classes,
    mean_one_over_images,
    over_classes,
)

_TINY = 1e-12  # keeps the gradient of a power below 1 finite at 0


@dataclass(frozen=True)
class Loss(Weighted):
    """Cross-entropy times (1 - probability of the label) ** gamma.

    Attributes:
        kind: softmax for one class per image, sigmoid for one question per class (the paper's).
        gamma: Exponent, 0 or more; 0 is cross-entropy.
        balance: Factor of the positive terms, from 0 to 1, with 1 - balance for the negative ones;
            null for none. Sigmoid only.
        class_weight: balanced, a mapping from class name to weight, or null; the mean is 1.
    """

    kind: Literal["softmax", "sigmoid"]
    gamma: float
    balance: float | None

    def __post_init__(self) -> None:
        require(self.gamma >= 0, "loss.gamma", self.gamma, "Give 0 or more.")
        if self.balance is not None:
            remedy = "Give a number from 0 to 1, or null."
            require(0 <= self.balance <= 1, "loss.balance", self.balance, remedy)
            remedy = "Give null, or loss.kind=sigmoid; class_weight balances a softmax."
            require(self.kind == "sigmoid", "loss.balance", self.balance, remedy)
        check_class_weight(self.class_weight)

    @property
    def activation(self) -> str:
        """What turns logits into probabilities."""
        return self.kind

    @property
    def multi_label(self) -> bool | None:
        """False for softmax, as the data has it for sigmoid."""
        return False if self.kind == "softmax" else None

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """Class weights, float64 (classes,), or None."""
        weights = class_weights(self.class_weight, class_counts, class_names)
        if weights is None:
            return None
        if self.kind == "sigmoid":
            return mean_one_over_classes(weights)
        return mean_one_over_images(weights, class_counts)

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        if self.kind == "sigmoid":
            return over_classes(self._sigmoid_terms(labels, logits), per_class, "sum")
        log_probabilities = ops.log_softmax(logits, axis=-1)
        wrong = ops.maximum(-ops.expm1(log_probabilities), _TINY)
        terms = -labels * wrong**self.gamma * log_probabilities
        return image_weights(labels, per_class) * ops.sum(terms, axis=-1)

    def _sigmoid_terms(self, labels: Tensor, logits: Tensor) -> Tensor:
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        positive = -labels * ops.exp(self.gamma * log_no) * log_yes
        negative = -(1 - labels) * ops.exp(self.gamma * log_yes) * log_no
        if self.balance is None:
            return positive + negative
        return self.balance * positive + (1 - self.balance) * negative
