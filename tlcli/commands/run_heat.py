"""Heat over single pictures, one after the other, by a network that stays in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tlcli.evaluation.explain import Explainer
from tlcli.system import heat

SMALLEST = 224  # pixels of a side of what is shown


def heater(model: Any) -> Callable[[Any, int], bytes]:
    """From an image, uint8 (side, side, 3), and a class to the picture with heat, a PNG."""
    explainer = Explainer.of(model)

    def shown(image: Any, label: int) -> bytes:
        pixels = np.asarray(image)
        return picture(pixels, explainer.heat(pixels[None], [label])[0])

    return shown


def picture(image: Any, found: Any) -> bytes:
    """A picture with heat over it, a PNG, large enough to be looked at.

    Args:
        image: uint8 (side, side, 3).
        found: Heat, float (side, side), 0 to 1.
    """
    factor = max(1, -(-SMALLEST // len(image)))
    large = heat.magnified(image, SMALLEST)
    return heat.encoded(heat.overlaid(large, heat.smooth(found, factor)))
