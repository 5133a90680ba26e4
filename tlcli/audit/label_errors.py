"""Labels that a probe on embeddings does not believe, by answers for pictures that it never saw.

The probe is linear discriminant analysis with a shrunk covariance, which is solved and not trained.
A label counts as an error where confident learning (Northcutt et al. 2021, arXiv:1911.00068) says
so and the label itself has almost no probability: the former alone flags a quarter of hard data.
"""

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


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """What is thought of each label.

    Attributes:
        scores: How little the label is believed, float (samples,), 0 to 1; 0 where there is none.
        guesses: The most probable class, int (samples,).
        found: Whether the label is called an error, bool (samples,).
        probabilities: float32 (samples, classes).
    """

    scores: Any
    guesses: Any
    found: Any
    probabilities: Any


def label_errors(embeddings: Any, labels: Any, classes: int, seed: int) -> LabelErrors:
    """Judge the labels of all pictures.

    Args:
        embeddings: float32 (samples, channels).
        labels: Class indices, int (samples,), -1 where unlabelled.
        classes: Their number.
        seed: Deals pictures out to the folds.
    """
    logits = out_of_fold(standardised(embeddings), labels, classes, seed)
    shares = softmax(logits / temperature(logits, labels))
    known = np.flatnonzero(labels >= 0)
    own = np.ones(len(labels))
    own[known] = shares[known, labels[known]]
    counts = np.bincount(labels[known], minlength=classes)
    judged = np.zeros(len(labels), bool)
    judged[known] = counts[labels[known]] >= FEWEST
    scores = np.where(judged, 1 - own, 0.0)
    sure = confident(shares, labels, classes)
    found = judged & (own < UNLIKELY) & (sure >= 0) & (sure != labels)
    guesses = np.where(found, sure, shares.argmax(1))
    return LabelErrors(scores, guesses, found, shares.astype(np.float32))


def standardised(embeddings: Any) -> Any:
    """Embeddings with mean 0 and deviation 1 in each channel that varies, float32."""
    spread = embeddings.std(0, dtype=np.float64)
    even = np.where(spread > 0, spread, 1).astype(np.float32)
    return (embeddings - embeddings.mean(0, dtype=np.float64).astype(np.float32)) / even


def out_of_fold(embeddings: Any, labels: Any, classes: int, seed: int) -> Any:
    """Logits of each picture by a probe that was solved without it, float (samples, classes).

    Unlabelled pictures are in no probe, and get the mean of all.
    """
    folds = dealt(labels, seed)
    logits = np.zeros((len(labels), classes), np.float32)
    for fold in range(FOLDS):
        rows = np.flatnonzero((folds != fold) & (labels >= 0))
        weights, biases = discriminant(embeddings[rows], labels[rows], classes)
        asked = np.flatnonzero(folds == fold)
        logits[asked] = embeddings[asked] @ weights + biases
        free = np.flatnonzero(folds < 0)
        logits[free] += (embeddings[free] @ weights + biases) / FOLDS
    return logits


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
    """The divisor of logits under which the labels are most probable."""
    rows = np.flatnonzero(labels >= 0)
    rows = rows[:: max(1, len(rows) // MOST)]
    told, own = logits[rows], labels[rows]

    def loss(divisor: float) -> float:
        scaled = told / divisor
        top = scaled.max(1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(1))
        return float(np.minimum(total - scaled[np.arange(len(own)), own], 50).mean())

    return float(min(TEMPERATURES, key=loss))


def softmax(logits: Any) -> Any:
    """Probabilities (samples, classes)."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def confident(shares: Any, labels: Any, classes: int) -> Any:
    """The class that confident learning counts a picture in, -1 for none, int (samples,).

    A class is a candidate where its probability reaches the mean that its own pictures give it.
    """
    limits = np.ones(classes)
    for label in range(classes):
        own = shares[labels == label, label]
        if len(own):
            limits[label] = own.mean()
    reached = np.where(shares >= limits, shares, -1.0)
    best = reached.argmax(1)
    return np.where(reached.max(1) >= 0, best, -1)
