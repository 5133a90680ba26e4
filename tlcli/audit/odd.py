"""Pictures unlike the others: blank, dark, blurred, tiny, of an odd shape; and outliers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.audit.facts import Facts
from tlcli.audit.looked import Looked

# Standard deviation of grey of a blank picture, and mean grey of dark and of white ones.
BLANK, DARK, BRIGHT = 2.0, 16.0, 246.0
# Robust deviations below the median of log detail, and what part of the median it must lack.
BLURRED, SHARPEST_BLUR = 4.0, 0.4
# Pixels of the shorter side of a tiny picture, and its part of the median one.
TINY, TINY_PART = 16, 0.25
# How many times as long as usual an odd picture is.
ODD_SHAPE = 2.5
# Robust deviations of the log distance to NEAREST neighbours above the median of an outlier.
FAR, NEAREST = 4.0, 5
LOOK, EXCLUDE = "look", "exclude"


@dataclass(frozen=True)
class Odd:
    """What is odd about a picture.

    Attributes:
        row: Of the picture.
        score: 0 to 1.
        suggestion: LOOK or EXCLUDE.
        detail: Half a sentence.
    """

    row: int
    score: float
    suggestion: str
    detail: str


def odd_pictures(looked: Looked, facts: Facts) -> list[Odd]:
    """Odd pictures, the oddest first, each once."""
    found: dict[int, Odd] = {}
    for part in (_lights(looked), _blurred(looked), _sizes(facts), _shapes(facts)):
        for one in part:
            before = found.get(one.row)
            if before is not None:
                best = max(one, before, key=lambda odd: odd.score)
                one = Odd(one.row, best.score, before.suggestion,
                          f"{before.detail}; {one.detail}")  # fmt: skip
            found[one.row] = one
    return sorted(found.values(), key=lambda one: (-one.score, one.row))


def _lights(looked: Looked) -> Iterator[Odd]:
    for row in np.flatnonzero(looked.spread < BLANK).tolist():
        yield Odd(row, 1.0, EXCLUDE, f"blank: every pixel is near {looked.light[row]:.0f} of 255")
    there = looked.spread >= BLANK
    for row in np.flatnonzero(there & (looked.light < DARK)).tolist():
        score = 1 - looked.light[row] / (2 * DARK)
        yield Odd(row, float(score), LOOK, f"dark: mean {looked.light[row]:.0f} of 255")
    for row in np.flatnonzero(there & (looked.light > BRIGHT)).tolist():
        score = 1 - (255 - looked.light[row]) / (2 * (255 - BRIGHT))
        yield Odd(row, float(score), LOOK, f"overexposed: mean {looked.light[row]:.0f} of 255")


def _blurred(looked: Looked) -> Iterator[Odd]:
    rows = np.flatnonzero(looked.spread >= BLANK)
    if len(rows) < 2:
        return
    detail = np.log(looked.detail[rows] / looked.spread[rows] + 1e-6)
    away = robust(detail)
    part = np.exp(detail - np.median(detail))
    for place in np.flatnonzero((away < -BLURRED) & (part < SHARPEST_BLUR)).tolist():
        told = f"blurred: {part[place]:.0%} of the usual detail"
        yield Odd(int(rows[place]), float(1 - part[place]), LOOK, told)


def _sizes(facts: Facts) -> Iterator[Odd]:
    shorter = np.minimum(facts.width, facts.height)
    known = shorter > 0
    if not known.any():
        return
    usual = float(np.median(shorter[known]))
    limit = usual * TINY_PART
    if usual >= 2 * TINY:
        limit = max(limit, TINY)
    for row in np.flatnonzero(known & (shorter < limit)).tolist():
        size = f"{facts.width[row]}x{facts.height[row]}"
        told = f"tiny: {size} pixels, usually {usual:.0f} on the shorter side"
        yield Odd(row, float(1 - shorter[row] / usual), LOOK, told)


def _shapes(facts: Facts) -> Iterator[Odd]:
    known = np.flatnonzero((facts.width > 0) & (facts.height > 0))
    if not len(known):
        return
    aspect = np.log(facts.width[known] / facts.height[known])
    away = np.abs(aspect - np.median(aspect))
    odd = (away > np.log(ODD_SHAPE)) & (np.abs(aspect) > np.log(ODD_SHAPE))
    for place in np.flatnonzero(odd).tolist():
        row = int(known[place])
        told = f"odd shape: {facts.width[row]}x{facts.height[row]} pixels"
        yield Odd(row, float(1 - np.exp(-away[place])), LOOK, told)


def outliers(likeness: Any) -> list[Odd]:
    """Pictures that are far from all others, the farthest first.

    Args:
        likeness: Cosines of the nearest others of each, best first, float (samples, some).
    """
    if likeness.shape[1] < NEAREST:
        return []
    distance = np.maximum(1 - likeness[:, :NEAREST].mean(1), 1e-6)
    away = robust(np.log(distance))
    usual = np.median(distance)
    rows = np.flatnonzero(away > FAR)
    rows = rows[np.argsort(-away[rows], kind="stable")]
    return [
        Odd(row, float(away[row] / (away[row] + FAR)), LOOK,
            f"{distance[row] / usual:.1f} times as far from its neighbours as usual")
        for row in rows.tolist()
    ]  # fmt: skip


def robust(values: Any) -> Any:
    """Deviations from the median in units of the median one, as for normal values."""
    middle = np.median(values)
    unit = 1.4826 * np.median(np.abs(values - middle))
    return (values - middle) / max(float(unit), 1e-6)
