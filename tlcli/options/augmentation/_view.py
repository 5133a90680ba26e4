"""What all random augmentations share: crop, flip, a change of the picture, erasing, mixing."""

import math
from dataclasses import dataclass

from tlcli.contracts.augmentation import RandomAugmentation
from tlcli.data.resize import resized
from tlcli.errors import require
from tlcli.lazy import Tensor, tf
from tlcli.options.augmentation._crop import random_crop, random_erase, random_flip
from tlcli.options.augmentation._mix import Mix


@dataclass(frozen=True)
class RandomView(RandomAugmentation):
    """A random crop, resized, perhaps mirrored, changed by the option, perhaps partly erased.

    Attributes:
        views: How many views a sample has, 1 or more; None draws a new one each epoch.
        crop_scale: Least and greatest part of the image's area, in (0, 1].
        crop_ratio: Least and greatest width / height of the crop, above 0.
        horizontal_flip: Probability of the mirror image.
        random_erasing: Probability of noise in a random box (Zhong et al. 2020).
        mixup: Parameter of the Beta distribution of mixup's weight; 0 is off.
        cutmix: The same for CutMix's part of the area; 0 is off.
        mix_probability: Probability that a pair of images is mixed.
        mix_switch: Probability of CutMix where both are on.
        mix_off_epochs: Epochs after which mixing stops; None never does.
        cutmix_multi_label: Whether CutMix may cut images of several labels, which counts a label by
            the area of its image whether or not the box shows it.
    """

    views: int | None
    crop_scale: tuple[float, ...]
    crop_ratio: tuple[float, ...]
    horizontal_flip: float
    random_erasing: float
    mixup: float
    cutmix: float
    mix_probability: float
    mix_switch: float
    mix_off_epochs: float | None
    cutmix_multi_label: bool

    def __post_init__(self) -> None:
        where, remedy = "augmentation.views", "Give a whole number above 0, or null."
        require(self.views is None or self.views >= 1, where, self.views, remedy)
        self._check_pair("crop_scale", 1.0, "Give [least, greatest] in (0, 1].")
        self._check_pair("crop_ratio", math.inf, "Give [least, greatest], both above 0.")
        for name in ("horizontal_flip", "random_erasing", "mix_probability", "mix_switch"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"augmentation.{name}", value, "Give a number from 0 to 1.")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            remedy = "Give a number above 0, or 0 for off."
            require(0 <= value < math.inf, f"augmentation.{name}", value, remedy)
        where, off = "augmentation.mix_off_epochs", self.mix_off_epochs
        require(off is None or off >= 0, where, off, "Give a number of epochs, or null.")

    def _check_pair(self, name: str, most: float, remedy: str) -> None:
        pair = getattr(self, name)
        fits = len(pair) == 2 and 0 < pair[0] <= pair[1] <= most and pair[1] < math.inf
        require(fits, f"augmentation.{name}", list(pair), remedy)

    @property
    def mix(self) -> Mix | None:
        """How images of a batch are mixed, or None where they are not."""
        if self.mix_probability == 0 or self.mix_off_epochs == 0:
            return None
        if self.mixup == 0 and self.cutmix == 0:
            return None
        return Mix(
            mixup_alpha=self.mixup,
            cutmix_alpha=self.cutmix,
            probability=self.mix_probability,
            switch_probability=self.mix_switch,
            off_epoch=self.mix_off_epochs,
            cutmix_multi_label=self.cutmix_multi_label,
        )

    def short_side(self, size: int) -> int:
        """Pixels of a picture's shorter side at which the smallest crop isn't enlarged."""
        low, high = self.crop_ratio
        return math.ceil(size / math.sqrt(self.crop_scale[0] * min(low, 1 / high, 1.0)))

    def region(self, sides: Tensor, seed: Tensor) -> Tensor:
        """The box that a view shows, int32 (4,)."""
        return random_crop(sides, tf.random.split(seed, 4)[0], self.crop_scale, self.crop_ratio)

    def apply(self, part: Tensor, seed: Tensor, size: int) -> Tensor:
        """The view made of it, uint8 (size, size, 3)."""
        _, flip, change, erase = tf.unstack(tf.random.split(seed, 4))
        view = tf.ensure_shape(resized(part, (size, size), antialias=True), (size, size, 3))
        view = random_flip(view, flip, self.horizontal_flip)
        view = self.change(view, change)
        return random_erase(view, erase, self.random_erasing)

    def change(self, view: Tensor, seed: Tensor) -> Tensor:
        """What the option adds: uint8 (size, size, 3) to the same."""
        return view
