"""A network that is served, as plain functions: the server knows neither runs nor exports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Model:
    """A network that is served.

    Attributes:
        name: By which clients ask for it.
        version: By its content.
        format: What runs it.
        class_names: In index order.
        side: Pixels of a side of what the network is shown.
        max_pixels: Width times height above which a picture is refused.
        multi_label: Whether a picture may have several classes.
        told: What is told of a picture beside its label.
        most: Pictures that may be looked at together without changing each other's answers.
        read: From an encoded picture to uint8 (side, side, 3), or to a TlError.
        look: From uint8 images (batch, side, side, 3) to logits, and to how strange each image
            is or None.
        shares: From logits to calibrated probabilities, float (batch, classes).
        row: From logits and strangeness of one picture and a number of classes to what
            `tl predict` says of it.
        heat: From an image and a class to the picture with heat over it, a PNG; None where
            nothing can be explained.
    """

    name: str
    version: str
    format: str
    class_names: Sequence[str]
    side: int
    max_pixels: int
    multi_label: bool
    told: Sequence[str]
    most: int
    read: Callable[[bytes], Any]
    look: Callable[[Any], tuple[Any, Any]]
    shares: Callable[[Any], Any]
    row: Callable[[Any, Any, int], dict[str, Any]]
    heat: Callable[[Any, int], bytes] | None

    def as_json(self) -> dict[str, Any]:
        """What clients may know of it."""
        return {
            "name": self.name, "version": self.version, "format": self.format,
            "class_names": list(self.class_names), "image_size": self.side,
            "max_pixels": self.max_pixels, "multi_label": self.multi_label,
            "told": list(self.told), "explains": self.heat is not None,
        }  # fmt: skip
