"""Labels that a probe on embeddings does not believe, by answers for pictures that it never saw.

The probe is linear discriminant analysis with a shrunk covariance, which is solved and not trained.
A label counts as an error where confident learning (Northcutt et al. 2021, arXiv:1911.00068) says
so and the label itself has almost no probability: the former alone flags a quarter of hard data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

FOLDS = 5
SHRINKAGE = 0.3
# Probability of a label, with the temperature of the folds, below which it may be an error.
UNLIKELY = 0.03
# Pictures of a class below which nothing is said against its labels.
FEWEST = FOLDS
TEMPERATURES = np.geomspace(0.5, 50, 41)
MOST = 5000  # labels by which the temperature is chosen
NUMBERS = 1 << 24  # of pictures x classes that are held at once


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What is thought of each label.

    Attributes:
        scores: How little the label is believed, float (samples,), 0 to 1; 0 where there is none.
        guesses: The most probable class, int (samples,).
        found: Whether the label is called an error, bool (samples,).
        shares: From rows to the probabilities of their classes, float32 (rows, classes).
    """

    scores: Any
    guesses: Any
    found: Any
    shares: Callable[[Any], Any]


def label_errors(embeddings: Any, labels: Any, classes: int, seed: int) -> LabelErrors:
    """Judge the labels of all pictures.

    Args:
        embeddings: float32 (samples, channels).
        labels: Class indices, int (samples,), -1 where unlabelled.
        classes: Their number.
        seed: Deals pictures out to the folds.
    """
    probe = Probe(standardised(embeddings), labels, classes, seed)
    own, guesses = np.ones(len(labels)), np.zeros(len(labels), int)
    known = labels >= 0
    for rows in probe.blocks():
        shares, named = probe.shares(rows), known[rows]
        guesses[rows] = shares.argmax(1)
        own[rows[named]] = shares[named, labels[rows[named]]]
    counts = np.bincount(labels[known], minlength=classes)
    judged = np.zeros(len(labels), bool)
    judged[known] = counts[labels[known]] >= FEWEST
    limits, sure = limits_of(own, labels, classes), np.full(len(labels), -1)
    for rows in probe.blocks(np.flatnonzero(judged & (own < UNLIKELY))):
        sure[rows] = confident(probe.shares(rows), limits)
    found = (sure >= 0) & (sure != labels)
    scores = np.where(judged, 1 - own, 0.0)
    return LabelErrors(scores, np.where(found, sure, guesses), found, probe.shares)


def standardised(embeddings: Any) -> Any:
    """Embeddings with mean 0 and deviation 1 in each channel that varies, float32."""
    spread = embeddings.std(0, dtype=np.float64)
    even = np.where(spread > 0, spread, 1).astype(np.float32)
    return (embeddings - embeddings.mean(0, dtype=np.float64).astype(np.float32)) / even


class Probe:
    """Answers for each picture by a discriminant that was solved without it.

    Unlabelled pictures are in none, and get the mean of all. No more than the discriminants are
    held: what a picture's answers are is computed when it is asked for.

    Args:
        embeddings: float32 (samples, channels).
        labels: Class indices, int (samples,), -1 where unlabelled.
        classes: Their number.
        seed: Deals pictures out to the folds.
    """

    def __init__(self, embeddings: Any, labels: Any, classes: int, seed: int) -> None:
        """Solve them."""
        self._embeddings, self._folds = embeddings, dealt(labels, seed)
        self._most = max(1, NUMBERS // classes)
        self._solved = []
        for fold in range(FOLDS):
            rows = np.flatnonzero((self._folds != fold) & (labels >= 0))
            weights, biases = discriminant(embeddings[rows], labels[rows], classes)
            self._solved.append((weights.astype(np.float32), biases.astype(np.float32)))
        some = np.flatnonzero(labels >= 0)
        some = some[:: max(1, len(some) // min(MOST, self._most))]
        self._divisor = temperature(self.logits(some), labels[some])

    def blocks(self, rows: Any = None) -> Iterator[Any]:
        """Rows (all where none are given) in as many at once as may be held."""
        rows = np.arange(len(self._folds)) if rows is None else rows
        for start in range(0, len(rows), self._most):
            yield rows[start : start + self._most]

    def logits(self, rows: Any) -> Any:
        """Logits of some pictures, float32 (rows, classes)."""
        rows = np.asarray(rows)
        found = np.zeros((len(rows), len(self._solved[0][1])), np.float32)
        for fold, (weights, biases) in enumerate(self._solved):
            for asked, share in ((self._folds[rows] == fold, 1), (self._folds[rows] < 0, FOLDS)):
                if asked.any():
                    found[asked] += (self._embeddings[rows[asked]] @ weights + biases) / share
        return found

    def shares(self, rows: Any) -> Any:
        """Probabilities of some pictures, float32 (rows, classes)."""
        return softmax(self.logits(rows) / np.float32(self._divisor))


def dealt(labels: Any, seed: int) -> Any:
    """Fold of each picture, each class dealt out evenly; -1 where unlabelled, int (samples,)."""
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.full(len(labels), -1)
    known = order[labels[order] >= 0]
    folds[known] = np.arange(len(known)) % FOLDS
    return folds


def discriminant(embeddings: Any, labels: Any, classes: int) -> tuple[Any, Any]:
    """Weights (channels, classes) and biases (classes,) of the log posterior but for a constant.

    A class without a picture gets no answer.
    """
    channels = embeddings.shape[1]
    counts = np.bincount(labels, minlength=classes)
    sums = np.zeros((classes, channels))
    np.add.at(sums, labels, embeddings)
    means = sums / np.maximum(counts, 1)[:, None]
    within = embeddings - means.astype(embeddings.dtype)[labels]
    covariance = (within.T @ within).astype(np.float64)
    covariance /= max(1, len(labels) - (counts > 0).sum())
    level = max(np.trace(covariance) / channels, 1e-12)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(channels)
    weights = np.linalg.solve(shrunk, means.T)
    with np.errstate(divide="ignore"):
        priors = np.log(counts / len(labels))
    biases = np.where(counts > 0, priors - 0.5 * (means.T * weights).sum(0), -1e9)
    return weights, biases


def temperature(logits: Any, labels: Any) -> float:
    """The divisor of logits under which their labels are most probable."""

    def loss(divisor: float) -> float:
        scaled = logits / divisor
        top = scaled.max(1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(1))
        return float(np.minimum(total - scaled[np.arange(len(labels)), labels], 50).mean())

    return float(min(TEMPERATURES, key=loss))


def softmax(logits: Any) -> Any:
    """Probabilities (samples, classes)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def limits_of(own: Any, labels: Any, classes: int) -> Any:
    """The mean probability that pictures of a class give it, 1 without any, float (classes,)."""
    known = labels >= 0
    counts = np.bincount(labels[known], minlength=classes)
    sums = np.bincount(labels[known], own[known], classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def confident(shares: Any, limits: Any) -> Any:
    """The class that confident learning counts a picture in, -1 for none, int (samples,).

    A class is a candidate where its probability reaches its limit.
    """
    reached = np.where(shares >= limits, shares, -1.0)
    best = reached.argmax(1)
    return np.where(reached.max(1) >= 0, best, -1)
