"""Augmentations: random views of one image, a pure function of (seed, view, sample).

A new option is a frozen dataclass `Augmentation` that subclasses `RandomAugmentation` and has a
field `views`, `region`, `apply` and `short_side`; `mix` only where it mixes images of a batch. All
its draws come from tf.random.stateless_* on seeds split from the one it is given, so that a view
is the same in any batch, on any device and after a resume.
"""

from abc import ABC, abstractmethod
from typing import Any

from tlcli.lazy import Tensor


class Mix(ABC):
    """Mixing of the images of a batch in pairs: position 0 with 1, 2 with 3, and so on."""

    @property
    def multi_label_ok(self) -> bool:
        """Whether mixed labels are right where an image may have several."""
        return True

    @abstractmethod
    def apply(
        self,
        images: Tensor,
        labels: Tensor,
        seed: Tensor,
        epoch: Any,
        pairs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mixed images and labels.

        Args:
            images: uint8 or float (batch, height, width, channels).
            labels: float (batch, classes), one-hot or soft.
            seed: int32 (2,), of the global batch: `system.seeds.batch_seed(run seed, step)`.
            epoch: Epochs passed, number or scalar; may be fractional.
            pairs: Number of each pair in the global batch, int32 ((batch + 1) // 2,); None counts.

        Returns:
            float32 images and labels of the same shapes. An image without a partner stays.
        """


class Augmentation(ABC):
    """What every option has; one that is no more than this shows what validation sees.

    Attributes:
        views: How many views a sample has, 1 or more; None for a new one each epoch.
    """

    views: int | None

    @property
    def mix(self) -> Mix | None:
        """How images of a batch are mixed, or None where they are not."""
        return None


class RandomAugmentation(Augmentation):
    """An option that draws views: a part of the picture, made into a square."""

    @abstractmethod
    def short_side(self, size: int) -> int:
        """Pixels that a picture's shorter side must have for views of `size` pixels a side.

        A large JPEG is decoded at a half, a quarter or an eighth of its size while it has.
        """

    @abstractmethod
    def region(self, sides: Tensor, seed: Tensor) -> Tensor:
        """The part of a picture that a view shows: top, left, height, width, int32 (4,).

        Args:
            sides: Height and width of the picture as decoded, int32 (2,).
            seed: int32 (2,), of the view: `system.seeds.sample_seed(run seed, view, sample)`.
        """

    @abstractmethod
    def apply(self, part: Tensor, seed: Tensor, size: int) -> Tensor:
        """The view made of that part, uint8 (size, size, 3).

        Args:
            part: uint8 (height, width, 3), before any resizing.
            seed: int32 (2,), the same as for `region`.
            size: Pixels of a side of the result.
        """
