"""Backbones: pretrained networks that turn pictures into features.

A new option is a frozen dataclass `Backbone` that subclasses `Backbone` of this module and has
fields or properties `default_image_size`, `weights` and `batch_norm`, and the methods `build` and
`load`. `build` makes a plain, flat functional model with preprocessing inside; the same config
always builds the same graph and layer names. One that comes with a classifier of its own
subclasses `Classifier` instead.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.lazy import Tensor


@dataclass(frozen=True)
class LoadReport:
    """What a weights file gave.

    Attributes:
        source: File or name the weights came from, or "random".
        loaded: Names of layers whose weights were set.
        missing: Layers of the model with weights that the file lacks or has in another shape.
        skipped: Layers of the file that the model lacks.
    """

    source: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeadReport:
    """What a head begins with, where its backbone comes from a network with a head of its own.

    Attributes:
        source: Where the other head is; empty where there is none.
        kept: Classes whose weights were taken over; of the same head without any, all is new.
        why: Why nothing was taken over, half a sentence; empty otherwise.
    """

    source: str = ""
    kept: tuple[str, ...] = ()
    why: str = ""


class Backbone(ABC):
    """What every option has.

    Attributes:
        default_image_size: Pixels of a side when the user names none.
        weights: Where they come from; "none" or None for random ones.
        batch_norm: What the training does with the statistics of normalisation: keeps them, moves
            them, or replaces them by those of its own images first.
        resizable: Whether pretrained weights are as good at other image sizes.
        chosen_later: Whether it stands for another that is chosen when data and machine are known.
    """

    default_image_size: int
    weights: str
    batch_norm: Literal["frozen", "train", "adapt"]
    resizable: ClassVar[bool] = False
    chosen_later: ClassVar[bool] = False

    @abstractmethod
    def build(self, images: Tensor) -> Any:
        """The network, randomly initialised.

        Args:
            images: KerasTensor float32 (batch, side, side, 3), RGB 0-255.

        Returns:
            Functional keras.Model images → features, (batch, height, width, channels),
            (batch, tokens, channels) or (batch, channels).
        """

    @abstractmethod
    def load(self, model: Any) -> LoadReport:
        """Put pretrained weights into what `build` made; by name and shape, never the head's."""

    def load_head(
        self, model: Any, head: Mapping[str, Any], class_names: Sequence[str]
    ) -> HeadReport:
        """Take over what fits of the head that the pretrained weights belong to.

        Args:
            model: The student, with a new head.
            head: What its head is made of: the option's plain values, or facts of a borrowed one.
            class_names: Its classes in index order.
        """
        return HeadReport()

    def resolved(self) -> "Backbone":
        """The option as a checkpoint keeps it, able to build without files of other runs."""
        return self


class Classifier(Backbone):
    """A backbone whose weights come with a head of their own: the 1,000 classes of ImageNet."""

    @abstractmethod
    def build_classifier(self, images: Tensor) -> Any:
        """The network with its head, randomly initialised; the softmax is left out.

        Args:
            images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.

        Returns:
            Functional model images → logits float32 (batch, 1000).
        """

    @abstractmethod
    def load_classifier(self, model: Any) -> LoadReport:
        """Put the pretrained weights, head included, into what `build_classifier` made."""
