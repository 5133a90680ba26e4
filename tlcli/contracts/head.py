"""Heads: from a backbone's features to logits.

A new option is a frozen dataclass `Head` that subclasses `Head` of this module and has the method
`build`; all its layers have names that begin with "head_". One that must see the training images
first (kernel's bandwidth) sets `needs_data` and has `fit`.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from tlcli.lazy import Tensor


class Head(ABC):
    """What every option has.

    Attributes:
        dropout: Share of the vectors set to 0 in training, [0, 1).
        needs_data: Whether `fit` must be called before the training.
    """

    dropout: float
    needs_data: ClassVar[bool] = False

    @abstractmethod
    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, dim), pooled, and logits (batch, num_classes), both float32.

        Args:
            features: KerasTensor (batch, height, width, channels), (batch, tokens, channels) or
                (batch, channels).
            num_classes: Logits.
        """

    def fit(self, model: Any, embeddings: Any) -> None:  # noqa: B027 - most have nothing to fit
        """Set what follows from training images, once, before the training.

        Args:
            model: The keras.Model that `build`'s layers are in.
            embeddings: float32 (samples, dim) of training images.
        """
