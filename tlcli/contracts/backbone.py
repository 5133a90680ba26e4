"""Backbones: pretrained networks that turn pictures into features.

Each option has

    default_image_size: int     property, pixels of a side when the user names none
    weights: str | None         field; "imagenet", "none", or the path of a local file
    output_layer: str | None    field; name of the layer where the backbone is cut

    def build(self, images) -> keras.Model
        images: KerasTensor float32 (batch, side, side, 3), RGB 0-255.
        returns a plain, flat functional Model(images, features) with preprocessing inside, randomly
        initialised; features (batch, height, width, channels), (batch, tokens, channels) or
        (batch, channels). The same config always builds the same graph and layer names.

    def load(self, model) -> LoadReport
        Puts pretrained weights into what `build` made; by layer name and shape.
"""

from dataclasses import dataclass


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
