"""TrivialAugment, wide: one operation of any strength (Müller & Hutter 2021, arXiv:2103.10158)."""

from dataclasses import dataclass

from tlcli.errors import require
from tlcli.lazy import Tensor, tf
from tlcli.options.augmentation._policy import Strengths, apply_one, random_operation, random_sign
from tlcli.options.augmentation._view import RandomView
from tlcli.system.seeds import unit

LEVELS = 31


@dataclass(frozen=True)
class Augmentation(RandomView):
    """RandomView with one random operation, whose strength is one of 31 levels.

    Full strength is a slope of 0.99, 135 degrees, factors of 0.01 and 1.99, 6 bits dropped,
    everything inverted.

    Attributes:
        translate: Greatest shift, part of the side, 0 to 1.
    """

    translate: float

    def __post_init__(self) -> None:
        super().__post_init__()
        where, remedy = "augmentation.translate", "Give a number from 0 to 1."
        require(0 <= self.translate <= 1, where, self.translate, remedy)

    def change(self, view: Tensor, seed: Tensor) -> Tensor:
        """The view after one random operation, uint8."""
        most = Strengths(
            shear=0.99, translate=self.translate, rotate=135.0, enhance=0.99, posterize=6
        )
        which, size, sign = tf.unstack(tf.random.split(seed, 3))
        level = tf.floor(LEVELS * unit(size, [])) / (LEVELS - 1)
        signed = level * random_sign(sign)
        return apply_one(view, random_operation(which), signed, view.shape[0], most)
