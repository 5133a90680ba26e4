"""Temperature and thresholds fitted on validation."""

from typing import Any

import numpy as np

from tlcli.contracts.data import Manifest
from tlcli.evaluation.metrics import cross_entropy, sigmoid

# Labelled validation images below which a temperature would be that of chance.
LEAST = 50
# Least and most temperature: where all are right, or as good as guessed, none is the best.
BOUNDS = (0.2, 10.0)
# Weight of log(T)^2 beside the loss of one image: what pulls a temperature of few images to 1.
PRIOR_IMAGES = 5.0
# Parts of the validation images that decide whether a temperature helps; of many images, two.
FOLDS, MANY = 5, 5000
SEARCH_STEPS = 40


def can_calibrate(manifest: Manifest, images: int) -> bool:
    """Whether some labelled validation images are enough; thresholds are fitted to any number."""
    return manifest.multi_label or images >= LEAST


def fit_temperature(logits: Any, labels: Any) -> float:
    """Divisor of the logits that makes the labels most likely (Guo et al. 2017, arXiv:1706.04599).

    It is drawn towards 1 as by a few images, and stays within `BOUNDS`; one that comes to lie there
    is said where the run ends.

    Args:
        logits: float (samples, classes).
        labels: Class indices (samples,).
    """

    def loss(place: float) -> float:
        found = cross_entropy(logits / np.exp(place), labels).sum()
        return float(found) + PRIOR_IMAGES * place * place

    low, high = map(float, np.log(BOUNDS))
    # The negative log-likelihood has one minimum along 1/T, so a golden search finds it.
    ratio = (np.sqrt(5) - 1) / 2
    first, second = high - ratio * (high - low), low + ratio * (high - low)
    losses = [loss(first), loss(second)]
    for _ in range(SEARCH_STEPS):
        if losses[0] < losses[1]:
            high, second, losses[1] = second, first, losses[0]
            first = high - ratio * (high - low)
            losses[0] = loss(first)
        else:
            low, first, losses[0] = first, second, losses[1]
            second = low + ratio * (high - low)
            losses[1] = loss(second)
    return float(np.exp((low + high) / 2))


def at_bound(temperature: float) -> bool:
    """Whether a temperature is one of BOUNDS, to the precision of the search."""
    return bool(np.isclose(temperature, BOUNDS, rtol=1e-3).any())


def chosen_temperature(logits: Any, labels: Any) -> float:
    """The fitted temperature where it helps on images that it was not fitted to, else 1.

    Args:
        logits: float (samples, classes).
        labels: Class indices (samples,).
    """
    without, fitted = held_out(logits, labels)
    return fit_temperature(logits, labels) if fitted < without else 1.0


def held_out(logits: Any, labels: Any) -> tuple[float, float]:
    """Mean loss in nats without and with a temperature that was fitted to the other folds."""
    folds = FOLDS if len(labels) <= MANY else 2
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds  # each class in every fold
    fitted = 0.0
    for number in range(folds):
        ours = fold == number
        temperature = fit_temperature(logits[~ours], labels[~ours])
        fitted += float(cross_entropy(logits[ours] / temperature, labels[ours]).sum())
    without = float(cross_entropy(logits, labels).sum())
    return without / len(labels), fitted / len(labels)


def fit_thresholds(logits: Any, labels: Any) -> list[float]:
    """Threshold of each class with the best F1, 0.5 where a class never occurs."""
    probabilities = sigmoid(logits)
    chosen = []
    for index in range(labels.shape[1]):
        order = np.argsort(-probabilities[:, index], kind="stable")
        hits = np.cumsum(labels[order, index] > 0)
        total = int(labels[:, index].sum())
        if not total:
            chosen.append(0.5)
            continue
        f1 = 2 * hits / (np.arange(1, len(hits) + 1) + total)
        sorted_scores = probabilities[order, index]
        # Only where the next score is lower can a threshold cut.
        cuts = np.append(sorted_scores[1:] < sorted_scores[:-1], True)
        best = int(np.argmax(np.where(cuts, f1, -1)))
        below = sorted_scores[best + 1] if best + 1 < len(sorted_scores) else 0.0
        chosen.append(float((sorted_scores[best] + below) / 2))
    return chosen
