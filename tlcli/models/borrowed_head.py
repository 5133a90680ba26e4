"""A teacher's head on a student, behind a projector (SimKD; Chen et al. 2022, arXiv:2203.14001)."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from tlcli.config import registry
from tlcli.config.checked import build_dataclass
from tlcli.contracts.head import Head
from tlcli.errors import ConfigError, require
from tlcli.lazy import Tensor, keras

PROJECTED = "head_projected"


@dataclass(frozen=True)
class Borrowed(Head):
    """1x1, 3x3 and 1x1 convolutions with BatchNorm, then pooling and logits of the teacher.

    Attributes:
        head: The teacher's head option.
        classes: Logits of the teacher.
        places: Column of each of the student's classes among them.
        channels: Of the map that the teacher's head takes.
        factor: These channels over those inside the projector.
        activation: Of the projector's end.
    """

    head: Head
    classes: int
    places: tuple[int, ...]
    channels: int
    factor: int
    activation: str

    dropout = 0.0

    def build(self, features: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
        """Embedding (batch, teacher's dim) and float32 logits (batch, num_classes).

        Raises:
            ConfigError: The student's features are no map.
        """
        if len(features.shape) != 4:
            raise ConfigError(
                "distillation.name", "simkd projects maps, and the student's features are none",
                "Choose a convolutional backbone, or kd.",
            )  # fmt: skip
        inner = max(self.channels // self.factor, 1)
        maps = _block(features, inner, 1, 1, "relu")
        maps = _block(maps, inner, 3, 2, "relu")
        maps = _block(maps, self.channels, 1, 3, self.activation)
        # The head is a constant: its dropout would only blur what the projector is trained for.
        head: Head = dataclasses.replace(cast("Any", self.head), dropout=0.0)
        embedding, logits = head.build(maps, self.classes)
        if list(self.places) != list(range(self.classes)):
            from tlcli.models.layers import ChosenClasses

            logits = ChosenClasses(self.places, "head_classes")(logits)
        return embedding, logits


def _block(maps: Tensor, filters: int, size: int, number: int, activation: str) -> Tensor:
    """Convolution, BatchNorm and activation, float32 and from a fixed seed."""
    layers, name = keras.layers, f"head_projector_{number}"
    maps = layers.Conv2D(
        filters, size, padding="same", use_bias=False, dtype="float32", name=f"{name}_conv",
        kernel_initializer=keras.initializers.HeNormal(seed=number),
    )(maps)  # fmt: skip
    norm = layers.BatchNormalization(
        epsilon=1e-5, momentum=0.9, dtype="float32", name=f"{name}_norm"
    )
    last = PROJECTED if number == 3 else f"{name}_activation"
    return layers.Activation(activation, dtype="float32", name=last)(norm(maps))


@dataclass(frozen=True)
class Facts:
    """What metadata.json says of a borrowed head; see Borrowed.

    Attributes:
        activation: By name; Keras would make an object of anything else.
    """

    head: dict[str, Any]
    classes: int
    places: tuple[int, ...]
    channels: int
    factor: int
    activation: Literal["relu", "linear"]

    def __post_init__(self) -> None:
        for name in ("classes", "channels", "factor"):
            number = {"classes": self.classes, "channels": self.channels}.get(name, self.factor)
            require(1 <= number <= 1_000_000, f"head.{name}", number, "Give 1 to 1000000.")
        fits = all(0 <= place < self.classes for place in self.places)
        require(fits, "head.places", list(self.places), "Give columns of the teacher's logits.")


def from_facts(facts: Mapping[str, Any]) -> Borrowed:
    """The head that metadata.json describes.

    Raises:
        ConfigError: It describes something else.
    """
    made = build_dataclass(Facts, facts, "head")
    head = registry.build("head", made.head)
    return Borrowed(head, made.classes, made.places, made.channels, made.factor, made.activation)
