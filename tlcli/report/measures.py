"""Figures of a report from predictions alone, in numpy; memory holds a few thousand rows more."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.evaluation.intervals import wilson
from tlcli.runs.predictions import Predictions

BINS = 15
ROWS = 4096  # at a time
POINTS = 200  # of a curve
# Classes above which no square of all pairs is made.
MOST_SQUARE = 3000
# Classes of a table; of more, those that do worst.
MOST_SHOWN = 2000


@dataclass(frozen=True)
class Classes:
    """Counts of each class, integers (classes,).

    Attributes:
        real: Images that have it.
        guessed: Images that were given it.
        right: Both.
    """

    real: Any
    guessed: Any
    right: Any

    def figures(self) -> dict[str, tuple[Any, Any, Any]]:
        """Precision, recall and F1: each value and its interval, nan where there is no image.

        The interval of F1 is that of hits among images that have the class or were given it, for
        F1 rises with that share s as 2 s / (1 + s).
        """
        found = {}
        for name, total in (("precision", self.guessed), ("recall", self.real)):
            found[name] = (_share(self.right, total), *wilson(self.right, total))
        either = self.real + self.guessed - self.right
        low, high = wilson(self.right, either)
        f1 = _share(2 * self.right, self.real + self.guessed)
        found["f1"] = (f1, 2 * low / (1 + low), 2 * high / (1 + high))
        return found


def _share(hits: Any, totals: Any) -> Any:
    return np.where(totals > 0, hits / np.maximum(totals, 1), np.nan)


def guesses_of(found: Predictions) -> Any:
    """The answers: class indices int (samples,), or of several labels bool (samples, classes)."""
    if found.multi_label:
        return found.probabilities >= found.thresholds
    return np.concatenate([found.probabilities[part].argmax(1) for part in _parts(found)])


def _parts(found: Predictions) -> Iterator[slice]:
    for start in range(0, max(1, len(found.ids)), ROWS):
        yield slice(start, start + ROWS)


def counts(labels: Any, guesses: Any, classes: int) -> Classes:
    """Counts of each class; labels and guesses are indices, or multi-hot."""
    if labels.ndim == 2:
        real = labels > 0
        return Classes(real.sum(0), guesses.sum(0), (real & guesses).sum(0))
    right = np.bincount(labels[labels == guesses], minlength=classes)
    return Classes(
        np.bincount(labels, minlength=classes), np.bincount(guesses, minlength=classes), right
    )


def shown_classes(real: Any, figure: Any) -> Any:
    """Classes that a table shows, int64, in order: all, or of very many those that do worst.

    Args:
        real: Images of each, integers (classes,).
        figure: Of each, the worse the lower, float (classes,).
    """
    if len(real) <= MOST_SHOWN:
        return np.arange(len(real))
    there = np.flatnonzero(real)
    return np.sort(there[np.argsort(figure[there], kind="stable")[:MOST_SHOWN]])


def confused(labels: Any, guesses: Any, classes: int, most: int) -> list[tuple[int, int, int]]:
    """The most confused pairs: real class, given class, images; the most frequent first."""
    wrong = labels != guesses
    keys = labels[wrong].astype(np.int64) * classes + guesses[wrong]
    pairs, numbers = np.unique(keys, return_counts=True)
    order = np.argsort(-numbers, kind="stable")[:most]
    return [(int(p) // classes, int(p) % classes, int(n))
            for p, n in zip(pairs[order], numbers[order], strict=True)]  # fmt: skip


def square(labels: Any, guesses: Any, classes: int) -> Any:
    """The confusion matrix, real classes down, int (classes, classes)."""
    keys = labels.astype(np.int64) * classes + guesses
    return np.bincount(keys, minlength=classes * classes).reshape(classes, classes)


def clustered(matrix: Any) -> Any:
    """An order of the classes in which those that are confused stand side by side.

    That of the second eigenvector of the Laplacian of confusions (Fiedler 1973), in which
    neighbours of many confusions get near numbers.
    """
    real = np.maximum(matrix.sum(1, keepdims=True), 1)
    likeness = matrix / real
    likeness = likeness + likeness.T
    np.fill_diagonal(likeness, 0)
    likeness = likeness + 1e-6  # lest the graph fall apart
    degree = likeness.sum(1)
    scale = 1 / np.sqrt(degree)
    vectors = np.linalg.eigh(np.eye(len(degree)) - scale[:, None] * likeness * scale)[1]
    return np.argsort(vectors[:, 1] * scale, kind="stable")


def confidences(found: Predictions) -> tuple[Any, Any]:
    """Probability of each answer before and after calibration, float (samples,)."""
    before = []
    for part in _parts(found):
        logits = found.logits[part].astype(np.float64)
        before.append(1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1))
    return np.concatenate(before), found.probabilities.max(1).astype(float)


def reliability(confidence: Any, right: Any) -> Any:
    """Mean confidence, share of right answers and images of each bin that has any, (bins, 3)."""
    which = np.minimum((confidence * BINS).astype(int), BINS - 1).ravel()
    number = np.bincount(which, minlength=BINS)
    sums = [np.bincount(which, v.ravel(), BINS) for v in (confidence, right.astype(float))]
    table = np.stack([*(s / np.maximum(number, 1) for s in sums), number], 1)
    return table[number > 0]


def coverage(confidence: Any, right: Any) -> Any:
    """Share that is answered and share of these that is right, the surest first, (points, 2)."""
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    share = np.cumsum(right[order]) / answered
    chosen = np.unique(np.linspace(0, len(order) - 1, POINTS).round().astype(int))
    return np.stack([answered[chosen] / len(order), share[chosen]], 1)


def losses(found: Predictions) -> Any:
    """Cross-entropy of each image by its calibrated probabilities, in nats, float (samples,)."""
    tiny = np.float32(1e-7)
    if not found.multi_label:
        own = found.probabilities[np.arange(len(found.labels)), found.labels]
        return -np.log(np.maximum(own, tiny))
    parts = []
    for part in _parts(found):
        shares, real = found.probabilities[part], found.labels[part] > 0
        own = np.where(real, shares, 1 - shares)
        parts.append(-np.log(np.maximum(own, tiny)).sum(1))
    return np.concatenate(parts)


def average_precisions(found: Predictions) -> Any:
    """Average precision of each independent class, nan where none has it, float (classes,)."""
    result = np.full(found.labels.shape[1], np.nan)
    for index in range(len(result)):
        order = np.argsort(-found.probabilities[:, index], kind="stable")
        hits = found.labels[order, index] > 0
        if hits.any():
            result[index] = (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()
    return result


def together(
    labels: Any, guesses: Any, most: int
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Errors by what else is in a picture: classes wrongly given, and classes missed.

    Returns:
        Two lists of (class that is there, class wrongly given or missed, images).
    """
    real = labels > 0
    found = []
    for errors in (guesses & ~real, real & ~guesses):
        table = real.astype(np.float32).T @ errors.astype(np.float32)
        np.fill_diagonal(table, 0)
        order = np.argsort(-table, axis=None, kind="stable")[:most]
        pairs = [(int(i), int(j), int(table[i, j]))
                 for i, j in zip(*np.unravel_index(order, table.shape), strict=True)]  # fmt: skip
        found.append([pair for pair in pairs if pair[2]])
    return found[0], found[1]
