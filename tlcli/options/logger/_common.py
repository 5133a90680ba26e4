"""Keys that loggers share, and what they make of pictures and matrices."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Confusion, Writer
from tlcli.errors import require
from tlcli.lazy import np

# Classes above which a matrix has no numbers and no names.
MOST_NAMED = 30
SIDE = 480  # pixels that a matrix is about as wide as


@dataclass(frozen=True)
class Spaced(logger.Logger):
    """A logger of figures.

    Attributes:
        every: Steps between two points of the training's loss, accuracy, rate and gradient.
        gradients: Whether it shows the norm of the gradient.
    """

    every: int
    gradients: bool

    def __post_init__(self) -> None:
        fits = 1 <= self.every <= 1_000_000
        require(fits, "logger.every", self.every, "Give 1 to 1000000.")

    @property
    def distance(self) -> int:
        """Steps between two points."""
        return self.every

    @property
    def wants_gradients(self) -> bool:
        """Whether it shows the norm of the gradient."""
        return self.gradients


@dataclass(frozen=True)
class Pictured(Spaced):
    """A logger of figures and pictures.

    Attributes:
        views: Images that are shown as they are augmented.
    """

    views: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.views <= 64, "logger.views", self.views, "Give 0 to 64.")

    @property
    def view_count(self) -> int:
        """Images that are shown as they are augmented."""
        return self.views


class NoWriter(Writer):
    """Takes everything in and does nothing."""

    def figures(self, points: Sequence[logger.Figures]) -> None:
        """Forget them."""


def nothing(_: Begun) -> Writer:
    """A writer of nothing."""
    return NoWriter()


def rows_of(pictures: Sequence[Sequence[Any]]) -> list[Any]:
    """Each row as one picture, uint8 (height, width, 3)."""
    return [np.concatenate(list(row), axis=1) for row in pictures]


def png(pixels: Any) -> bytes:
    """A picture as a PNG file.

    Args:
        pixels: uint8 (height, width, 3).
    """
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def drawn(found: Confusion) -> Any:
    """A matrix as a picture, uint8 (height, width, 3): darker is more, rows are real classes.

    Args:
        found: Counts; a shade is a share of its row.
    """
    from PIL import Image, ImageDraw, ImageFont

    counts = np.asarray(found.counts, float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    number = len(counts)
    cell = max(1, SIDE // number)
    shade = np.stack([255 - 225 * shares, 255 - 160 * shares, 255 - 60 * shares], -1)
    image = Image.fromarray(shade.round().astype(np.uint8).repeat(cell, 0).repeat(cell, 1))
    if number > MOST_NAMED:
        return np.asarray(image)
    font = ImageFont.load_default(max(8, min(14, cell // 2)))
    margin = 4 + int(max(font.getlength(name[:24]) for name in found.classes))
    whole = Image.new("RGB", (margin + image.width, image.height), "white")
    whole.paste(image, (margin, 0))
    draw = ImageDraw.Draw(whole)
    for row, name in enumerate(found.classes):
        draw.text((2, row * cell + cell // 4), name[:24], "black", font)
        for column in np.flatnonzero(counts[row]):
            place = (margin + column * cell + cell // 4, row * cell + cell // 4)
            colour = "white" if shares[row, column] > 0.5 else "black"
            draw.text(place, f"{int(counts[row, column])}", colour, font)
    return np.asarray(whole)
