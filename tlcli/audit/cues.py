"""Whether what is not in the picture tells its class: its size, shape, light, file or camera.

A network learns such a cue and fails where it is gone. Each cue is cut into bins; how well the
bins rank the pictures of a class before all others is measured on pictures that the shares of the
bins were not counted on, and compared with the same for shuffled classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tlcli.audit.facts import Facts
from tlcli.audit.looked import Looked

BINS, FOLDS, SHUFFLES = 12, 5, 99
# Area under the curve from which a cue is told; more where the classes themselves may look so.
TELLS, TELLS_LIGHT = 0.75, 0.8
# Share of a class in bins that hold almost nothing else, where a cue marks only a part of it.
PURE, PART = 0.9, 0.1
LEAST = 10  # pictures of a class that a cue must tell
CHANCE = 0.01  # p value


@dataclass(frozen=True)
class Cue:
    """A cue of a class.

    Attributes:
        name: What tells: width, height, aspect, brightness, contrast, file type, quality of JPEG,
            camera or date.
        label: Class that it tells best.
        score: Area under the curve, 0.5 to 1.
        part: Of the class in bins that hold almost nothing else.
        p: Share of shuffles that do as well.
        values: What the class has and others lack, in words.
    """

    name: str
    label: int
    score: float
    part: float
    p: float
    values: str


@dataclass(frozen=True, eq=False)
class Binned:
    """A cue that is looked at.

    Attributes:
        name: What tells.
        bins: Of each picture, int (samples,).
        words: What each bin is.
        limit: Area under the curve from which it is told.
    """

    name: str
    bins: Any
    words: Sequence[str]
    limit: float


def cues(looked: Looked, facts: Facts, labels: Any, classes: int, seed: int) -> list[Cue]:
    """Cues that tell classes, the best first; one for each cue and class.

    Args:
        looked: Light of all pictures.
        facts: Of their files.
        labels: Class indices, int (samples,), -1 where unlabelled.
        classes: Their number.
        seed: Deals out and shuffles.
    """
    rows = np.flatnonzero(labels >= 0)
    if classes < 2 or len(rows) < FOLDS:
        return []
    found: list[Cue] = []
    for cue in _binned(looked, facts, rows):
        if cue.words:
            found += _told(cue, labels[rows], classes, seed)
    return sorted(found, key=lambda cue: (-max(cue.score, cue.part), cue.name))


def _binned(looked: Looked, facts: Facts, rows: Any) -> Iterator[Binned]:
    """Each cue; one that is the same everywhere has no words."""
    width, height = facts.width[rows], facts.height[rows]
    aspect = width / np.maximum(height, 1)
    yield Binned("width", *_ranges(width, "{:.0f} px"), TELLS)
    yield Binned("height", *_ranges(height, "{:.0f} px"), TELLS)
    yield Binned("aspect", *_ranges(aspect, "{:.2f}"), TELLS)
    yield Binned("brightness", *_ranges(looked.light[rows], "{:.0f} of 255"), TELLS_LIGHT)
    yield Binned("contrast", *_ranges(looked.spread[rows], "{:.0f}"), TELLS_LIGHT)
    yield Binned("file type", *_words(facts.kind[rows]), TELLS)
    quality = facts.quality[rows]
    if (quality >= 0).any():  # of other files the type tells
        quality = np.where(quality >= 0, quality, np.median(quality[quality >= 0]))
    yield Binned("JPEG quality", *_ranges(quality, "tables of {:.0f}"), TELLS)
    yield Binned("camera", *_words(facts.camera[rows]), TELLS)
    times = facts.time[rows]
    if np.isfinite(times).any():
        days = np.where(np.isfinite(times), times // 86400, -1e6)
        yield Binned("date", *_ranges(days, "day {:.0f}"), TELLS)


def _ranges(values: Any, words: str) -> tuple[Any, list[str]]:
    """Bins of numbers that hold about as many pictures each; none where all are alike.

    Few different numbers are a bin each.
    """
    different = np.unique(values)
    if len(different) < 2:
        return None, []
    if len(different) > BINS:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
        bins = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
        ends = [words.format(edge) for edge in edges]
        return bins, [f"{low} to {high}" for low, high in pairwise(ends)]
    return np.searchsorted(different, values), [words.format(value) for value in different]


def _words(values: Any) -> tuple[Any, list[str]]:
    """Bins of texts, the frequent ones; all others share one."""
    different, numbers, counts = np.unique(
        values.astype(str), return_inverse=True, return_counts=True
    )
    if len(different) < 2:
        return None, []
    order = np.argsort(-counts, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.minimum(np.arange(len(order)), BINS - 1)
    names = [str(different[i]) or "none" for i in order[:BINS]]
    if len(order) > BINS:
        names[-1] = "others"
    return places[numbers], names


def _told(cue: Binned, labels: Any, classes: int, seed: int) -> Iterator[Cue]:
    """What a cue tells of each class, where that is no chance."""
    random = np.random.default_rng(seed)
    folds = random.permutation(len(labels)) % FOLDS
    counts, count = np.bincount(labels, minlength=classes), len(cue.words)
    table = _table(folds, cue.bins, labels, count, classes)
    areas = area(table)
    pure = _pure(table) if cue.limit == TELLS else np.zeros(classes)
    many = counts >= LEAST
    told = many & ((areas >= cue.limit) | ((pure >= PART) & (pure * counts >= LEAST)))
    if not told.any():
        return
    # The best of any class by chance: many classes are looked at.
    shuffled = (random.permutation(labels) for _ in range(SHUFFLES))
    chance = [area(_table(folds, cue.bins, one, count, classes))[many].max() for one in shuffled]
    whole = table.sum(0)
    for label in np.flatnonzero(told).tolist():
        p = (1 + sum(one >= areas[label] for one in chance)) / (1 + SHUFFLES)
        if p <= CHANCE:
            yield Cue(cue.name, label, float(areas[label]), float(pure[label]), p,
                      _typical(whole, label, cue.words))  # fmt: skip


def _table(folds: Any, bins: Any, labels: Any, count: int, classes: int) -> Any:
    """Pictures by fold, bin and class, int (FOLDS, bins, classes)."""
    places = (folds * count + bins) * classes + labels
    return np.bincount(places, minlength=FOLDS * count * classes).reshape(FOLDS, count, classes)


def area(table: Any) -> Any:
    """How well the bins rank each class before the others, out of fold, float (classes,).

    Args:
        table: Pictures by fold, bin and class.

    Returns:
        The area under the ROC curve, mean of the folds in which a class has pictures; pictures of
        one bin are tied.
    """
    others = table.sum(0) - table
    shares = (others + 1e-3) / (others.sum(2, keepdims=True) + 1e-2)
    order = np.argsort(shares, axis=1, kind="stable")
    positive = np.take_along_axis(table, order, 1).astype(float)
    negative = np.take_along_axis(np.broadcast_to(table.sum(2, keepdims=True), table.shape) - table,
                                  order, 1).astype(float)  # fmt: skip
    below = np.cumsum(negative, 1) - negative
    won = (positive * (below + negative / 2)).sum(1)
    pairs = positive.sum(1) * negative.sum(1)
    weights = np.where(pairs > 0, positive.sum(1), 0)
    each = won / np.maximum(pairs, 1)
    total = weights.sum(0)
    return np.where(total > 0, (each * weights).sum(0) / np.maximum(total, 1), 0.5)


def _pure(table: Any) -> Any:
    """Part of each class in bins that, counted out of fold, hold almost nothing else."""
    others = table.sum(0) - table
    shares = others / np.maximum(others.sum(2, keepdims=True), 1)
    counts = table.sum((0, 1))
    # A class that is almost everything is in every bin.
    usual = counts / max(1, counts.sum())
    marked = (shares >= PURE) & (usual < 0.5)
    return (table * marked).sum((0, 1)) / np.maximum(counts, 1)


def _typical(whole: Any, label: int, words: Sequence[str]) -> str:
    """The bin that speaks most for a class, with what it holds."""
    own, every = whole[:, label], whole.sum(1)
    expected = every * own.sum() / max(1, every.sum())
    best = int(np.argmax(own - expected))
    share, usual = own[best] / max(1, own.sum()), every[best] / max(1, every.sum())
    return f"{words[best]}: {share:.0%} of the class, {usual:.0%} of all pictures"
