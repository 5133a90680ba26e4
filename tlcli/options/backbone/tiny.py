"""A small convolutional network for 32-pixel images, with weights that come with the program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.contracts import backbone
from tlcli.contracts.backbone import LoadReport
from tlcli.errors import require
from tlcli.lazy import Tensor, keras

FILE = Path(__file__).with_name("tiny_digits.weights.h5")
# Channels and stride of each block; 62,000 parameters in all.
BLOCKS = ((16, 1), (32, 2), (64, 2), (64, 2))
SMALLEST = 16


@dataclass(frozen=True)
class Backbone(backbone.Backbone):
    """Four blocks of convolution, BatchNormalization and ReLU, for tests and first steps.

    Attributes:
        default_image_size: Pixels of a side, 16 or more.
        weights: "digits" (trained on the handwritten digits 0 to 4), "none", or a path.
        output_layer: Name of the layer where the backbone is cut; null for its last one.
        batch_norm: What the training loop does with the statistics.
    """

    default_image_size: int
    weights: str
    output_layer: str | None
    batch_norm: Literal["frozen", "train", "adapt"]

    def __post_init__(self) -> None:
        require(
            self.default_image_size >= SMALLEST,
            "backbone.default_image_size",
            self.default_image_size,
            f"Give {SMALLEST} or more.",
        )

    def build(self, images: Tensor) -> Any:
        """The network up to `output_layer`, randomly initialised.

        Args:
            images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.

        Returns:
            Functional model images → features (batch, height / 8, width / 8, 64).
        """
        from tlcli.models.preprocessing import preprocess
        from tlcli.options.backbone._graph import cut

        layers = keras.layers
        features = preprocess(images, "tf")
        for number, (channels, stride) in enumerate(BLOCKS, start=1):
            name = f"tiny_block{number}"
            features = layers.Conv2D(
                channels, 3, stride, "same", use_bias=False,
                kernel_initializer="he_normal", name=f"{name}_conv",
            )(features)  # fmt: skip
            features = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(features)
            features = layers.ReLU(name=name)(features)
        return cut(keras.Model(images, features, name="tiny"), self.output_layer)

    def load(self, model: Any) -> LoadReport:
        """Put the weights into what `build` made.

        Raises:
            ConfigError: No such file, or none of its layers fit.
        """
        if self.weights == "none":
            return LoadReport("random")
        from tlcli.models.by_name import load_by_name

        return load_by_name(model, FILE if self.weights == "digits" else self.weights)
