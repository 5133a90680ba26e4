"""Temperature and thresholds fitted on validation."""

from typing import Any

import numpy as np

from tlcli.contracts.data import Manifest
from tlcli.evaluation.metrics import cross_entropy, sigmoid

# Least and most divisor of logits: where all are right, or as good as guessed, none is the best.
BOUNDS = (0.05, 20.0)
# Labelled validation images below which a temperature would be that of chance.
LEAST = 50


def can_calibrate(manifest: Manifest, images: int) -> bool:
    """Whether some labelled validation images are enough; thresholds are fitted to any number."""
    return manifest.multi_label or images >= LEAST


def fit_temperature(logits: Any, labels: Any) -> float:
    """Divisor of the logits that makes the labels most likely (Guo et al. 2017, arXiv:1706.04599).

    Within BOUNDS; one that comes to lie there is said where the run ends.

    Args:
        logits: float (samples, classes).
        labels: Class indices (samples,).
    """
    low, high = np.log(BOUNDS)
    # The negative log-likelihood has one minimum along 1/T, so a golden search finds it.
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(60):
        first, second = high - ratio * (high - low), low + ratio * (high - low)
        losses = [cross_entropy(logits / np.exp(t), labels).mean() for t in (first, second)]
        low, high = (low, second) if losses[0] < losses[1] else (first, high)
    return float(np.exp((low + high) / 2))


def at_bound(temperature: float) -> bool:
    """Whether a temperature is one of BOUNDS, to the precision of the search."""
    return bool(np.isclose(temperature, BOUNDS, rtol=1e-3).any())


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
