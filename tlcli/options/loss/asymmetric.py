"""Asymmetric loss of multi-label images (Ridnik et al. 2021, arXiv:2009.14119)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.loss._base import (
    Weighted,
    check_class_weight,
    class_weights,
    mean_one_over_classes,
    over_classes,
)

_TINY = 1e-12  # keeps the gradient of a power below 1 finite at 0


@dataclass(frozen=True)
class Loss(Weighted):
    """Focal terms with exponents of their own for positives and negatives, summed over classes.

    Attributes:
        gamma_neg: Exponent of the negative terms, 0 or more.
        gamma_pos: Exponent of the positive terms, 0 or more.
        clip: Taken off the probability of a negative; below it a negative costs nothing. From 0,
            below 1.
        detach_focus: Whether the focal factors are constants of a step, as in the authors' code by
            default; else they have gradients too.
        class_weight: balanced, a mapping from class name to weight, or null. A class's term is
            multiplied by its weight; the mean over the classes is 1.
    """

    gamma_neg: float
    gamma_pos: float
    clip: float
    detach_focus: bool

    activation = "sigmoid"
    multi_label = True

    def __post_init__(self) -> None:
        require(self.gamma_neg >= 0, "loss.gamma_neg", self.gamma_neg, "Give 0 or more.")
        require(self.gamma_pos >= 0, "loss.gamma_pos", self.gamma_pos, "Give 0 or more.")
        require(0 <= self.clip < 1, "loss.clip", self.clip, "Give a number from 0, below 1.")
        check_class_weight(self.class_weight)

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """Class weights, float64 (classes,), or None."""
        weights = class_weights(self.class_weight, class_counts, class_names)
        return None if weights is None else mean_one_over_classes(weights)

    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        positive = -labels * self._focus(ops.exp(self.gamma_pos * log_no)) * log_yes
        negative = -(1 - labels) * self._negatives(log_yes, log_no)
        return over_classes(positive + negative, per_class, "sum")

    def _negatives(self, log_yes: Tensor, log_no: Tensor) -> Tensor:
        if self.clip == 0:
            return self._focus(ops.exp(self.gamma_neg * log_yes)) * log_no
        shifted = ops.maximum(ops.exp(log_yes) - self.clip, _TINY)
        # The clip keeps this logarithm's argument at or above `clip`.
        log_shifted_no = ops.log(ops.minimum(ops.exp(log_no) + self.clip, 1.0))
        return self._focus(shifted**self.gamma_neg) * log_shifted_no

    def _focus(self, factor: Tensor) -> Tensor:
        return ops.stop_gradient(factor) if self.detach_focus else factor
