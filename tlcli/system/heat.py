"""Heat over a picture, as a person sees it."""

import io
from typing import Any

import numpy as np
from PIL import Image

# Colours of heat 0, 1/4 … 1: dark blue to yellow, rising in lightness, so that grey prints tell it.
RAMP = ((13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))
# Of the colour where the heat is 1.
STRENGTH = 0.7


def coloured(heat: Any) -> Any:
    """Colours of heat, float (…, 3), 0 to 255.

    Args:
        heat: float (…), 0 to 1.
    """
    steps = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(heat, steps, [c[k] for c in RAMP]) for k in range(3)], -1)


def overlaid(image: Any, heat: Any) -> Any:
    """A picture with heat over it; where there is none it is seen as it is.

    Args:
        image: uint8 (height, width, 3).
        heat: float (height, width), 0 to 1.

    Returns:
        uint8 (height, width, 3).
    """
    share = (STRENGTH * np.clip(heat, 0, 1) ** 0.75)[..., None]
    mixed = (1 - share) * image + share * coloured(heat)
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def magnified(image: Any, least: int) -> Any:
    """A small picture with each pixel several wide, so that its side has some pixels at least."""
    factor = max(1, -(-least // min(image.shape[:2])))
    return image.repeat(factor, 0).repeat(factor, 1)


def smooth(heat: Any, factor: int) -> Any:
    """Heat for a magnified picture, bilinear between the places that it is known of."""
    side = factor * len(heat)
    whole = Image.fromarray(np.asarray(heat, np.float32))
    return np.asarray(whole.resize((side, side), Image.Resampling.BILINEAR))


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as the bytes of a file.

    Args:
        image: uint8 (height, width, 3).
        kind: PNG, JPEG or WEBP.
        options: Of Pillow's writer.
    """
    content = io.BytesIO()
    Image.fromarray(image).save(content, kind, **options)
    return content.getvalue()
