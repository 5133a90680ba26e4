"""Pictures of a report with and without heat, small, as part of the page."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tlcli.data.views import Views
from tlcli.evaluation.explain import Explainer
from tlcli.system import heat

SIDE = 144  # pixels of a thumbnail
AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Source:
    """Where the pictures of a run come from, and what explains them.

    Attributes:
        views: As the network sees them, of the run's own data.
        model: uint8 images to logits; None leaves the heat out.
    """

    views: Views
    model: Any = None

    def rows(self, ids: Sequence[str]) -> list[int]:
        """Rows of the data for some sample ids, -1 where they are gone."""
        known = {str(name): row for row, name in enumerate(self.views.manifest.ids)}
        return [known.get(str(one), -1) for one in ids]

    def shown(self, ids: Sequence[str], classes: Sequence[int]) -> Iterator["Shown | None"]:
        """Pictures of samples in order, None for what is gone.

        Args:
            ids: Of the samples.
            classes: Whose heat is shown, of each.
        """
        explainer = None if self.model is None else Explainer.of(self.model)
        rows = self.rows(ids)
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            there = [row for row in part if row >= 0]
            asked = [c for row, c in zip(part, classes[start : start + AT_ONCE], strict=True)
                     if row >= 0]  # fmt: skip
            made = iter(self._made(explainer, there, asked))
            for row in part:
                yield next(made) if row >= 0 else None

    def _made(self, explainer: Any, rows: list[int], asked: list[int]) -> Iterator["Shown"]:
        if not rows:
            return
        images = np.concatenate(list(self.views.batches(rows, np.zeros(len(rows)), AT_ONCE)))
        maps: Any = [None] * len(images)
        if explainer is not None:
            maps = explainer.heat(images, asked)
        for image, one in zip(images, maps, strict=True):
            yield Shown(thumbnail(image), None if one is None else thumbnail(overlay(image, one)))


@dataclass(frozen=True)
class Shown:
    """A picture as `data:` addresses.

    Attributes:
        plain: As the network sees it.
        heated: With heat over it, or None.
    """

    plain: str
    heated: str | None


def overlay(image: Any, one: Any) -> Any:
    """A picture with heat, large enough that the heat is smooth."""
    factor = max(1, -(-SIDE // len(image)))
    return heat.overlaid(heat.magnified(image, SIDE), heat.smooth(one, factor))


def thumbnail(image: Any) -> str:
    """A square picture as a `data:` address; small ones keep their pixels."""
    large = heat.magnified(image, SIDE) if len(image) < SIDE else image
    if len(large) > SIDE:
        large = np.asarray(Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.BOX))
    return address(heat.encoded(large, "WEBP", quality=75), "webp")


def matrix(values: Any) -> str:
    """A square of numbers from 0 to 1 as a picture, darkest for most; an address."""
    shade = np.clip(255 * (1 - np.sqrt(np.clip(values, 0, 1))), 0, 255).astype(np.uint8)
    side = max(1, 480 // len(shade))
    return address(heat.encoded(shade.repeat(side, 0).repeat(side, 1), optimize=True), "png")


def address(content: bytes, kind: str) -> str:
    """The content of a file as an address of its own."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
