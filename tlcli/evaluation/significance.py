"""Whether one classifier is really better than another: tests of paired answers, in numpy.

McNemar's exact test (1947), the paired bootstrap, Student's t over seeds, Holm's correction (1979)
for several pairs at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from tlcli.evaluation import intervals

LEVEL = 1 - intervals.CONFIDENCE
POWER = 0.8
# Figures of which less is better.
FALLING = ("loss", "ece")


@dataclass(frozen=True)
class Contrast:
    """How two classifiers differ in a figure.

    Attributes:
        difference: First minus second.
        low: Lower end of its interval of 95 %; None where there is none.
        high: Upper end.
        p: Probability of such a difference, or a larger one, between equals; None likewise.
        count: Images, or seeds, that it rests on.
        needed: How many more of them would tell them apart four times in five, were the difference
            what it seems; None where no number would.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    count: int
    needed: int | None


def mcnemar(first: Any, second: Any) -> float:
    """Two-sided exact p of two classifiers that are right on some of the same images.

    Args:
        first: Whether it is right, bool (images,).
        second: The same of the other.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    total, least = only_first + only_second, min(only_first, only_second)
    logs = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
            - total * math.log(2) for k in range(least + 1)]  # fmt: skip
    return min(1.0, 2 * math.fsum(map(math.exp, logs)))


def holm(values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in their order."""
    order = np.argsort(values, kind="stable")
    found, least = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(values) - place) * values[index]))
        found[index] = least
    return found


def student(t: float, freedom: int) -> float:
    """Two-sided p of Student's t, by the incomplete beta function."""
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def student_end(freedom: int, confidence: float = intervals.CONFIDENCE) -> float:
    """The t that so large a part of the distribution lies within."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if student(middle, freedom) > 1 - confidence else (low, middle)
    return (low + high) / 2


def of_seeds(values: Sequence[float]) -> tuple[float, float] | None:
    """Ends of the t-interval of a mean over seeds; None of fewer than two."""
    if len(values) < 2:
        return None
    half = student_end(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - half, mean + half


def over_seeds(first: Sequence[float], second: Sequence[float]) -> Contrast:
    """Figures of two configurations, the same seeds in the same order, two or more."""
    gaps = np.asarray(first, float) - np.asarray(second, float)
    mean, deviation, count = float(gaps.mean()), float(gaps.std(ddof=1)), len(gaps)
    ends = of_seeds(list(gaps))
    assert ends is not None
    error = deviation / math.sqrt(count)
    p = student(mean / error, count - 1) if error else float(mean == 0)
    return Contrast(mean, *ends, p, count, _needed(mean, error, count))


def on_images(first: Any, second: Any, labels: Any, figure: str, thresholds: Any) -> Contrast:
    """Two classifiers on the same images.

    Args:
        first: Calibrated logits, float (images, classes).
        second: Those of the other.
        labels: Class indices (images,), or multi-hot (images, classes).
        figure: Of metrics.json.
        thresholds: Of each, where a picture may have several classes.
    """
    both = [intervals.facts_of(z, labels, least)
            for z, least in zip((first, second), thresholds, strict=True)]  # fmt: skip
    values = [value(z, labels, figure, least)
              for z, least in zip((first, second), thresholds, strict=True)]  # fmt: skip
    gap, total = values[0] - values[1], len(labels)
    count = intervals.resamples(labels.size)
    if not count:
        return Contrast(gap, None, None, None, total, None)
    drawn = [one.drawn(intervals.draws(one.strata, count))[figure] for one in both]
    gaps = drawn[0] - drawn[1]
    low, high = intervals.ends(gaps, gap)
    if figure == "accuracy" and labels.ndim == 1:
        p = mcnemar(*(one.right > 0 for one in both))
    else:
        p = bootstrap_p(gaps)
    return Contrast(gap, low, high, p, total, _needed(gap, float(gaps.std(ddof=1)), total))


def on_different_images(
    first: tuple[Any, Any, Any], second: tuple[Any, Any, Any], figure: str
) -> Contrast:
    """Two classifiers on images of their own: logits, labels and thresholds of each."""
    sides = []
    for logits, labels, least in (first, second):
        count = intervals.resamples(labels.size)
        facts = intervals.facts_of(logits, labels, least)
        drawn = facts.drawn(intervals.draws(facts.strata, count))[figure] if count else [math.nan]
        sides.append((value(logits, labels, figure, least), np.std(drawn)))
    gap, error = sides[0][0] - sides[1][0], math.hypot(sides[0][1], sides[1][1])
    total = min(len(first[1]), len(second[1]))
    if not math.isfinite(error):
        return Contrast(gap, None, None, None, total, None)
    normal = NormalDist()
    half = normal.inv_cdf(1 - LEVEL / 2) * error
    p = 2 * normal.cdf(-abs(gap) / error) if error else float(gap == 0)
    return Contrast(gap, gap - half, gap + half, p, total, _needed(gap, error, total))


def bootstrap_p(gaps: Any) -> float:
    """Two-sided p of no difference, from differences of draws; never below two draws' share."""
    least = min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))
    return min(1.0, 2 * (least + 1) / (len(gaps) + 1))


def verdict(figure: str, difference: float, p: float | None) -> str:
    """Whether the first is better, worse, or that cannot be told.

    Args:
        figure: Of metrics.json.
        difference: First minus second.
        p: Corrected for the number of pairs.
    """
    if p is None or p >= LEVEL or difference == 0:
        return "cannot tell"
    return "better" if (difference > 0) != (figure in FALLING) else "worse"


def value(logits: Any, labels: Any, figure: str, least: Any) -> float:
    """A figure of calibrated logits; `least` are the thresholds of several labels an image."""
    facts = intervals.facts_of(logits, labels, least)
    if np.ndim(labels) == 1:
        return float(facts.figures(np.arange(len(labels))[None])[figure][0])
    return float(facts.figures(np.ones(len(labels)))[figure])


def _needed(gap: float, error: float, count: int) -> int | None:
    """How many more would do: the error falls with the square root of their number."""
    if not gap or not math.isfinite(error):
        return None
    normal = NormalDist()
    wanted = normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)
    return max(0, math.ceil(count * (wanted * error / gap) ** 2) - count)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    log = a * math.log(x) + b * math.log1p(-x)
    log += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    tiny, c = 1e-300, 1.0
    d = 1 / (1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 500):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(log) * found / a
