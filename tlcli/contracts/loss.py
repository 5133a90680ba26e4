"""Losses of labels.

Each option has the properties

    activation: "softmax" or "sigmoid"
        What turns its logits into probabilities.
    multi_label: True, False or None
        True: labels are multi-hot. False: one class per image, or soft labels that sum to 1. None:
        either, as the data has it.

and the methods

    def prepared(self, class_counts, class_names) -> what the loop calls
        The same properties and `loss`, with what the option needs of the training set.
        class_counts: images of each class, int64 (classes,). class_names: in the same order.

    def loss(self, labels, logits) -> float32 (batch,), in nats
        labels: float32 (batch, classes): one-hot, soft or multi-hot.
        logits: float (batch, classes).
        On the option itself only when it needs nothing of the training set.
"""

from dataclasses import dataclass
from typing import Any

from tlcli.lazy import Tensor, np, ops


@dataclass(frozen=True)
class Prepared:
    """A loss that is ready for the loop.

    Attributes:
        option: The option it came from.
        per_class: What its formula needs of each class, float64 (classes,), or None.
    """

    option: Any
    per_class: Any

    @property
    def activation(self) -> str:
        """What turns logits into probabilities: "softmax" or "sigmoid"."""
        return str(self.option.activation)

    @property
    def multi_label(self) -> bool | None:
        """Whether labels are multi-hot; None as the data has it."""
        multi_label: bool | None = self.option.multi_label
        return multi_label

    def loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        labels, logits = ops.cast(labels, "float32"), ops.cast(logits, "float32")
        per_class = None if self.per_class is None else self.per_class.astype(np.float32)
        return self.option.per_image(labels, logits, per_class)
