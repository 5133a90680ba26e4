"""No augmentation: every epoch sees what validation sees."""

from dataclasses import dataclass

from tlcli.contracts import augmentation
from tlcli.errors import require


@dataclass(frozen=True)
class Augmentation(augmentation.Augmentation):
    """The image as validation resizes it; there is nothing to draw and nothing is mixed.

    Attributes:
        views: 1; a sample always looks the same.
    """

    views: int

    def __post_init__(self) -> None:
        require(self.views == 1, "augmentation.views", self.views, "Give 1.")
