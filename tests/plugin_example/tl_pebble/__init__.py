"""A backbone of one's own: two convolutions and the weights they were trained to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.contracts import backbone
from tlcli.errors import require
from tlcli.lazy import Tensor, keras

FILE = Path(__file__).with_name("pebble.weights.h5")


@dataclass(frozen=True)
class Backbone(backbone.Backbone):
    """Two strided convolutions; the comments in pebble.yaml give ranges and meanings."""

    default_image_size: int
    channels: int
    weights: Literal["digits", "none"]
    output_layer: str | None
    batch_norm: Literal["frozen", "train", "adapt"]

    def __post_init__(self) -> None:
        require(self.channels >= 1, "backbone.channels", self.channels, "Give 1 or more.")

    def build(self, images: Tensor) -> Any:
        """Functional model images float32 (batch, side, side, 3) -> features."""
        layers = keras.layers
        features = layers.Rescaling(1 / 255, name="pebble_scale")(images)
        for number in (1, 2):
            features = layers.Conv2D(
                self.channels, 3, 2, "same", activation="relu", name=f"pebble_{number}"
            )(features)
        return keras.Model(images, features, name="pebble")

    def load(self, model: Any) -> backbone.LoadReport:
        """Put the package's own weights into what `build` made."""
        if self.weights == "none":
            return backbone.LoadReport("random")
        from tlcli.models.by_name import load_by_name

        return load_by_name(model, FILE)
