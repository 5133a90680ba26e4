"""Intervals of 95 % for the figures of a classifier.

Wilson's for shares of images that are independent of each other (Wilson 1927); else the stratified
bootstrap: images are drawn again and again with replacement, within their class, and the middle
95 % of what comes out is the interval (Efron and Tibshirani 1993). All is drawn from one seed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

from tlcli.evaluation.metrics import BINS, cross_entropy, ranked, sigmoid, softmax
from tlcli.lazy import np

CONFIDENCE = 0.95
RESAMPLES = 1000
# Fewer draws tell no ends. Numbers that all draws may look at, about three seconds; and those that
# the fewest draws may.
LEAST_RESAMPLES = 100
USUAL_WORK = 10_000_000
MOST_WORK = 400_000_000
# Numbers that are held at a time.
PIECE = 1 << 21


def wilson(right: Any, total: Any, confidence: float = CONFIDENCE) -> tuple[Any, Any]:
    """Ends of the interval of a share, floats; all there is between 0 and 1 without an image.

    Args:
        right: How many, a number or an array.
        total: Of how many.
        confidence: In (0, 1).
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    total = np.maximum(np.asarray(total, float), 1e-12)
    share = np.minimum(np.asarray(right, float) / total, 1.0)
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + (z / total) ** 2 / 4)
    low, high = np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
    return np.where(share == 0, 0.0, low)[()], np.where(share == 1, 1.0, high)[()]


def draws(strata: Any, count: int, seed: int = 0) -> Iterator[Any]:
    """Images drawn with replacement, as many of each stratum as there are: indices (some, images).

    Args:
        strata: Number of the stratum of each image (images,).
        count: How many draws, in pieces.
        seed: Decides them.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(strata, kind="stable")
    sizes = np.bincount(strata) if len(strata) else np.zeros(0, int)
    sizes = sizes[sizes > 0]
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    step = max(1, PIECE // max(1, len(order)))
    for first in range(0, count, step):
        shape = (min(step, count - first), len(order))
        yield order[start + (random.random(shape) * size).astype(np.int64)]


def resamples(work: int) -> int:
    """How many draws are affordable where one looks at so many numbers; 0 for too few."""
    if work * LEAST_RESAMPLES > MOST_WORK:
        return 0
    return max(LEAST_RESAMPLES, min(RESAMPLES, USUAL_WORK // max(1, work)))


def ends(drawn: Any, value: float, falls: bool = False) -> tuple[float, float]:
    """Ends of the interval of a figure from what draws gave; the figure lies between them.

    Args:
        drawn: Its values (draws,).
        value: The figure itself.
        falls: Whether draws are biased upwards, as those of the calibration error are: the
            interval is then turned about the figure.
    """
    part = (1 - CONFIDENCE) / 2
    low, high = (float(q) for q in np.quantile(drawn, [part, 1 - part]))
    if falls:
        low, high = max(0.0, 2 * value - high), max(0.0, 2 * value - low)
    return min(low, value), max(high, value)


def of_figures(figures: Mapping[str, float], facts: Any, labels: Any) -> dict[str, float]:
    """`NAME_low` and `NAME_high` of each figure of metrics.json that has an interval.

    Args:
        figures: As `Scores.result` gives them.
        facts: See `facts_of`, of the same images.
        labels: Class indices (images,), or multi-hot (images, classes).
    """
    if not len(labels):
        return {}
    several = np.ndim(labels) == 2
    total, found = len(labels), {}
    shares = ("subset_accuracy",) if several else ("accuracy", "top5_accuracy")
    for name in shares:
        found[name] = wilson(round(figures[name] * total), total)
    count = resamples(total if not several else labels.size)
    if count:
        drawn = facts.drawn(draws(facts.strata, count))
        for name, values in drawn.items():
            if name in figures and name not in found:
                found[name] = ends(values, figures[name], falls=name == "ece")
    both = ("_low", "_high")
    return {f"{k}{end}": float(v) for k, pair in found.items()
            for end, v in zip(both, pair, strict=True) if math.isfinite(v)}  # fmt: skip


class OneLabel:
    """What the figures of draws need of each image that has one class.

    Args:
        logits: float (images, classes).
        labels: Class indices (images,).
    """

    def __init__(self, logits: Any, labels: Any) -> None:
        step = max(1, PIECE // logits.shape[1])
        parts = [self._piece(logits[i : i + step], labels[i : i + step])
                 for i in range(0, len(labels), step)]  # fmt: skip
        self._take([*zip(*parts, strict=True)], np.asarray(labels, np.int64), logits.shape[1])

    @classmethod
    def joined(cls, parts: Sequence["OneLabel"]) -> "OneLabel":
        """What draws need of the images of all parts, of which there is one at least."""
        made = cls.__new__(cls)
        columns = zip(*((p.loss, p.guesses, p.top5, p.confidence) for p in parts), strict=True)
        labels = np.concatenate([part.labels for part in parts])
        made._take([*columns], labels, parts[0].every)
        return made

    def _take(self, columns: Sequence[Any], labels: Any, every: int) -> None:
        """Join columns; classes that are neither real nor guessed have no place in the counts."""
        self.loss, self.guesses, self.top5, self.confidence = map(np.concatenate, columns)
        self.labels, self.every = labels, every
        self.right = (self.guesses == labels).astype(float)
        self.strata, self.given, self.classes = labels, self.guesses, every
        if every > len(labels):
            there, places = np.unique(np.stack([labels, self.guesses]), return_inverse=True)
            self.strata, self.given = places.reshape(2, -1)
            self.classes = len(there)

    def _piece(self, logits: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
        (guesses, ranks), shares = ranked(logits, labels), softmax(logits)
        return cross_entropy(logits, labels), guesses, ranks < 5, shares.max(-1)

    def drawn(self, pieces: Iterator[Any]) -> dict[str, Any]:
        """Each figure of each draw, by name, float (draws,)."""
        found = [self.figures(rows) for rows in pieces]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    def figures(self, rows: Any) -> dict[str, Any]:
        """Figures of some draws, as `Scores` has them.

        Args:
            rows: Indices of images (draws, images).
        """
        total = rows.shape[1]
        right, labels = self.right[rows], self.strata[rows]
        hits = _counts(labels, self.classes, right)
        real, guessed = (_counts(x, self.classes) for x in (labels, self.given[rows]))
        there = (real + guessed) > 0
        f1 = 2 * hits / np.maximum(real + guessed, 1)
        recall = hits / np.maximum(real, 1)
        which = np.minimum((self.confidence * BINS).astype(int), BINS - 1)[rows]
        gap = _counts(which, BINS, self.confidence[rows] - right)
        return {
            "loss": self.loss[rows].mean(-1), "accuracy": right.mean(-1),
            "top5_accuracy": self.top5[rows].mean(-1),
            "macro_f1": f1.sum(-1) / np.maximum(there.sum(-1), 1),
            "balanced_accuracy": recall.sum(-1) / np.maximum((real > 0).sum(-1), 1),
            "ece": np.abs(gap).sum(-1) / total,
        }  # fmt: skip


class SeveralLabels:
    """What the figures of draws need of images with independent classes.

    Args:
        logits: float (images, classes).
        labels: Multi-hot (images, classes).
        thresholds: One, or one a class.
    """

    def __init__(self, logits: Any, labels: Any, thresholds: Any) -> None:
        self.shares = sigmoid(logits)
        self.labels = np.asarray(labels) > 0
        self.guesses = self.shares >= thresholds
        self.strata = np.zeros(len(labels), np.int64)
        terms = np.maximum(logits, 0) - logits * self.labels + np.log1p(np.exp(-np.abs(logits)))
        self.loss = terms.sum(-1)
        self.order = np.argsort(-self.shares, axis=0, kind="stable")
        self.sorted = np.take_along_axis(self.labels, self.order, 0)
        self.bins = np.minimum((self.shares * BINS).astype(int), BINS - 1)

    def drawn(self, pieces: Iterator[Any]) -> dict[str, Any]:
        """Each figure of each draw, by name, float (draws,)."""
        found = [self.figures(np.bincount(rows, minlength=len(self.labels)).astype(float))
                 for piece in pieces for rows in piece]  # fmt: skip
        return {name: np.array([one[name] for one in found]) for name in found[0]}

    def figures(self, weights: Any) -> dict[str, float]:
        """Figures of images that occur so often, as `MultiLabelScores` has them.

        Args:
            weights: float (images,).
        """
        ours, total = self.labels, weights.sum()
        hits = weights @ (self.guesses & ours)
        real, guessed = weights @ ours, weights @ self.guesses
        lacks = weights @ (~self.guesses & ~ours)
        sides = np.stack([real, total - real])
        recall = np.stack([hits, lacks]) / np.maximum(sides, 1)
        gaps = (self.shares - ours) * weights[:, None]
        gap = np.abs(np.bincount(self.bins.ravel(), gaps.ravel(), BINS)).sum()
        alike = self.guesses == ours
        balanced = recall.sum(0) / np.maximum((sides > 0).sum(0), 1)
        return {
            "loss": float(weights @ self.loss / total),
            "accuracy": float(weights @ alike.mean(-1) / total),
            "subset_accuracy": float(weights @ alike.all(-1) / total),
            "macro_f1": float((2 * hits / np.maximum(real + guessed, 1)).mean()),
            "balanced_accuracy": float(balanced.mean()),
            "mean_average_precision": self._mean_average_precision(weights),
            "ece": float(gap / ours.size),
        }

    def _mean_average_precision(self, weights: Any) -> float:
        sorted_weights = weights[self.order]
        hits = np.cumsum(sorted_weights * self.sorted, 0)
        seen = np.cumsum(sorted_weights, 0)
        gains = sorted_weights * self.sorted
        total = gains.sum(0)
        # Of copies of one image, which rank in a row, the mean of their precisions.
        middle = (hits - (gains - 1).clip(0) / 2) / np.maximum(seen - (gains - 1).clip(0) / 2, 1)
        each = (gains * middle).sum(0) / np.maximum(total, 1)
        return float(each[total > 0].mean()) if (total > 0).any() else 0.0


def facts_of(logits: Any, labels: Any, thresholds: Any = 0.5) -> Any:
    """What draws of some images need, by the kind of their labels."""
    if np.ndim(labels) == 2:
        return SeveralLabels(np.asarray(logits, np.float64), labels, thresholds)
    return OneLabel(np.asarray(logits), np.asarray(labels))


def _counts(keys: Any, size: int, weights: Any = None) -> Any:
    """How often each number occurs in each row, or the sum of its weights, float (rows, size)."""
    number = len(keys)
    flat = (keys + np.arange(number)[:, None] * size).ravel()
    weights = None if weights is None else weights.ravel()
    return np.bincount(flat, weights, number * size).reshape(number, size).astype(float)
