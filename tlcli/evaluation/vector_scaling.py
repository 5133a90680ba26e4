"""A factor and a summand of each class's logit (vector scaling; Guo et al. 2017, arXiv:1706.04599).

The loss is convex in both, so Newton's steps find the one minimum.
"""

from typing import Any

import numpy as np

from tlcli.evaluation.metrics import cross_entropy, softmax
from tlcli.evaluation.scaling import Scaling

# Least and most factor, and how far a summand may lie from 0; they are cut where they lie beyond.
SCALES = (0.1, 5.0)
MOST_BIAS = 10.0
# Weight of the squared distance from the temperature alone beside the loss of one image.
PRIOR_IMAGES = 5.0
STEPS, CLOSE = 30, 1e-8


def fit_vector(logits: Any, labels: Any, temperature: float) -> Scaling:
    """The factors and summands that make the labels most likely, drawn towards a temperature.

    Args:
        logits: float (samples, classes).
        labels: Class indices (samples,).
        temperature: Fitted to the same images.
    """
    logits, classes = np.asarray(logits, np.float64), logits.shape[1]
    start = np.concatenate([np.full(classes, 1 / temperature), np.zeros(classes)])
    prior = PRIOR_IMAGES * np.concatenate([np.full(classes, temperature**2), np.ones(classes)])

    def loss(place: Any) -> float:
        scaled = logits * place[:classes] + place[classes:]
        away = float((prior * (place - start) ** 2).sum())
        return float(cross_entropy(scaled, labels).sum()) + away

    place, found = start, loss(start)
    for _ in range(STEPS):
        gradient, curvature = _derivatives(logits, labels, place)
        gradient += 2 * prior * (place - start)
        step = np.linalg.solve(curvature + np.diag(2 * prior), gradient)
        # Halved until it helps: far from the minimum the loss is no parabola.
        for part in 0.5 ** np.arange(20):
            new = loss(place - part * step)
            if new < found:
                place, found, gain = place - part * step, new, found - new
                break
        else:
            break
        if gain < CLOSE * len(labels):
            break
    scale = np.clip(place[:classes], *SCALES)
    bias = np.clip(place[classes:], -MOST_BIAS, MOST_BIAS)
    return Scaling(1.0, tuple(map(float, scale)), tuple(map(float, bias)))


def _derivatives(logits: Any, labels: Any, place: Any) -> tuple[Any, Any]:
    """Gradient (2 classes,) and second derivatives (2 classes, 2 classes) of the summed loss."""
    classes = logits.shape[1]
    shares = softmax(logits * place[:classes] + place[classes:])
    error = shares.copy()
    error[np.arange(len(labels)), labels] -= 1
    weighted = shares * logits
    gradient = np.concatenate([(error * logits).sum(0), error.sum(0)])
    both = np.concatenate([weighted, shares], 1)
    mixed = np.diag(weighted.sum(0))
    own = np.block([[np.diag((weighted * logits).sum(0)), mixed], [mixed, np.diag(shares.sum(0))]])
    return gradient, own - both.T @ both
