"""Random crops of any size, mirror images and colour jitter: the recipe of ImageNet."""

from dataclasses import dataclass

from tlcli.errors import require
from tlcli.lazy import Tensor
from tlcli.options.augmentation._colour import colour_jitter
from tlcli.options.augmentation._view import RandomView


@dataclass(frozen=True)
class Augmentation(RandomView):
    """RandomView with colour jitter.

    Attributes:
        brightness: Factors lie in 1 ± brightness, never below 0.
        contrast: The same.
        saturation: The same.
        hue: Turns of YIQ's colour circle either way, at most 0.5; pixels change 1.35 times
            as much as by the same turn of HSV, which other programs use.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("brightness", "contrast", "saturation"):
            value = getattr(self, name)
            remedy = "Give a number from 0 to 10."
            require(0 <= value <= 10, f"augmentation.{name}", value, remedy)
        where, remedy = "augmentation.hue", "Give a number from 0 to 0.5."
        require(0 <= self.hue <= 0.5, where, self.hue, remedy)

    def change(self, view: Tensor, seed: Tensor) -> Tensor:
        """The view with its colours jittered, uint8."""
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        return colour_jitter(view, seed, strengths)
