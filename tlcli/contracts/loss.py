"""Losses of labels.

A new option is a frozen dataclass `Loss` that subclasses `Loss` of this module and has
`activation`, `multi_label` and `per_image`; `per_class` and `needs_training_set` where its formula
uses numbers that follow from the training set.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.lazy import Tensor, np, ops


class Loss(ABC):
    """What every option has."""

    @property
    @abstractmethod
    def activation(self) -> str:
        """What turns its logits into probabilities: "softmax" or "sigmoid"."""

    @property
    @abstractmethod
    def multi_label(self) -> bool | None:
        """Whether labels are multi-hot.

        True: they are. False: one class per image, or soft labels that sum to 1. None: either, as
        the data has it.
        """

    @property
    def needs_training_set(self) -> bool:
        """Whether `loss` works only after `prepared`."""
        return False

    def per_class(self, class_counts: Any, class_names: Sequence[str]) -> Any:
        """What the formula needs of each class, float64 (classes,), or None.

        Args:
            class_counts: Images of each class in the training set, float64 (classes,).
            class_names: Their names in the same order.
        """
        return None

    @abstractmethod
    def per_image(self, labels: Tensor, logits: Tensor, per_class: Any) -> Tensor:
        """Loss of each image, in nats, float32 (batch,).

        Args:
            labels: float32 (batch, classes): one-hot, soft or multi-hot.
            logits: float32 (batch, classes).
            per_class: What the method of that name gave, float32, or None.
        """

    def prepared(self, class_counts: Any, class_names: Sequence[str]) -> "Prepared":
        """The loss with what it needs of the training set.

        Args:
            class_counts: Images of each class in the training set, int64 (classes,).
            class_names: Their names in the same order.

        Raises:
            ConfigError: `class_weight` names an unknown class or leaves no weight above 0.
        """
        counts = np.asarray(class_counts, np.float64)
        if counts.shape != (len(class_names),) or not counts.sum() > 0:
            raise ValueError(f"counts {counts.shape} of {len(class_names)} classes")
        return Prepared(self, self.per_class(counts, class_names))

    def loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Loss of each image, in nats, float32 (batch,).

        Raises:
            ValueError: The option needs the training set; call `prepared` and use its `loss`.
        """
        if self.needs_training_set:
            raise ValueError("this loss needs the training set: call prepared() first")
        return Prepared(self, None).loss(labels, logits)


@dataclass(frozen=True)
class Prepared:
    """A loss that is ready for the loop.

    Attributes:
        option: The option it came from.
        per_class: What its formula needs of each class, float64 (classes,), or None.
    """

    option: Loss
    per_class: Any

    @property
    def activation(self) -> str:
        """What turns logits into probabilities: "softmax" or "sigmoid"."""
        return self.option.activation

    @property
    def multi_label(self) -> bool | None:
        """Whether labels are multi-hot; None as the data has it."""
        return self.option.multi_label

    def loss(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Loss of each image, in nats, float32 (batch,)."""
        labels, logits = ops.cast(labels, "float32"), ops.cast(logits, "float32")
        per_class = None if self.per_class is None else self.per_class.astype(np.float32)
        return self.option.per_image(labels, logits, per_class)
