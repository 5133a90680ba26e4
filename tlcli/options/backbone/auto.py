"""A published network that is chosen for the data, the machine and the time."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn

from tlcli.contracts import backbone
from tlcli.contracts.backbone import LoadReport
from tlcli.errors import ConfigError
from tlcli.lazy import Tensor


@dataclass(frozen=True)
class Backbone(backbone.Backbone):
    """Stands for the network that `tlcli.config.backbone_rules` chooses for a training.

    Attributes:
        weights: "imagenet" or "none", of whatever network it will be.
        batch_norm: What the training loop does with its statistics.
    """

    weights: Literal["imagenet", "none"]
    batch_norm: Literal["frozen", "train", "adapt"]

    chosen_later: ClassVar[bool] = True

    @property
    def default_image_size(self) -> int:  # type: ignore[override]  # a field elsewhere
        """Pixels of a side of most published networks; the choice brings its own."""
        return 224

    def build(self, images: Tensor) -> Any:
        """Refuse: only a training's own network is chosen.

        Raises:
            ConfigError: Always.
        """
        _refuse()

    def load(self, model: Any) -> LoadReport:
        """Refuse, as `build` does.

        Raises:
            ConfigError: Always.
        """
        _refuse()


def _refuse() -> NoReturn:
    raise ConfigError(
        "backbone", "auto chooses the network of a training, and no other's",
        "Name one here: tl list backbone.",
    )  # fmt: skip
