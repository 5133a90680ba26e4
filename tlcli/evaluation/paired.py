"""Differences of two classifiers on the same images, or of two trainings on the same seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.evaluation.metrics import new_scores

# Draws with replacement; the standard error is then known to about a twentieth.
RESAMPLES = 200


@dataclass(frozen=True)
class Difference:
    """A mean difference of pairs.

    Attributes:
        mean: First minus second.
        error: Standard error of the mean; None where it cannot be told.
        count: Pairs.
    """

    mean: float
    error: float | None
    count: int

    def __str__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.4f}"
        return f"{self.mean:+.4f}{error}"


def difference(pairs: Sequence[float] | Any) -> Difference:
    """Mean of paired differences and its standard error, sample deviation / sqrt(pairs).

    Args:
        pairs: First minus second of each pair, one or more.
    """
    values = np.asarray(pairs, np.float64)
    count = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else None
    return Difference(float(values.mean()), error, count)


def of_logits(first: Any, second: Any, manifest: Any, rows: Any) -> Difference:
    """How much better one classifier is than another on the same images.

    Args:
        first: Logits (images, classes).
        second: Those of the other.
        manifest: Of the images.
        rows: Their rows, labelled.

    Returns:
        Of accuracy. Of independent classes of mean average precision, which no single image has:
        its error is the deviation over resamples of the images (Efron 1979, the bootstrap).
    """
    labels = manifest.labels[rows]
    if not manifest.multi_label:
        right = [(logits.argmax(-1) == labels).astype(float) for logits in (first, second)]
        return difference(right[0] - right[1])

    def gap(chosen: Any) -> float:
        figures = []
        for logits in (first, second):
            scores = new_scores(manifest)
            scores.update(logits[chosen], labels[chosen])
            figures.append(float(scores.result()["mean_average_precision"]))
        return figures[0] - figures[1]

    every = np.arange(len(rows))
    random = np.random.default_rng(0)
    drawn = [gap(random.choice(every, len(every))) for _ in range(RESAMPLES)]
    error = float(np.std(drawn, ddof=1))
    return Difference(gap(every), error if math.isfinite(error) else None, len(every))
