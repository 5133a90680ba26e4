"""Temperature, vector or thresholds fitted on validation."""

from typing import Any

import numpy as np

from tlcli.contracts.data import Manifest
from tlcli.evaluation.metrics import Scores, cross_entropy, sigmoid
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.evaluation.vector_scaling import fit_vector

# Labelled validation images below which a temperature would be that of chance.
LEAST = 50
# Least and most temperature: where all are right, or as good as guessed, none is the best.
BOUNDS = (0.2, 10.0)
# Weight of log(T)^2 beside the loss of one image: what pulls a temperature of few images to 1.
PRIOR_IMAGES = 5.0
# Parts of the validation images that decide what helps; of many images or logits, two.
FOLDS, MANY, MANY_NUMBERS = 5, 5000, 5_000_000
# A vector is tried from so many images a class on average, up to so many classes, and kept where
# it lowers the loss of held-out images by so many standard errors.
IMAGES_A_CLASS, MOST_CLASSES, CLEARLY = 10, 100, 2.0
# How much more calibration error a vector may bring: of 300 images it is known to some 0.03.
MOST_ERROR = 0.05
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


def chosen(logits: Any, labels: Any) -> Scaling:
    """What calibrates best on images that it was not fitted to: nothing, a temperature or a vector.

    A temperature is taken where it lowers the loss; a vector, which has two numbers a class, only
    where it lowers it further by more than chance would (`CLEARLY` standard errors), and leaves
    the calibration error about where it was: of a network that is right more often than it thinks,
    a vector can raise both.

    Args:
        logits: float (samples, classes).
        labels: Class indices (samples,).
    """
    losses, found = held_out(logits, labels)
    helps = losses["temperature"].mean() < losses["none"].mean()
    best = "temperature" if helps else "none"
    if (
        "vector" in losses
        and clearly_less(losses["vector"], losses[best])
        and (error(found["vector"], labels) <= error(found[best], labels) + MOST_ERROR)
    ):
        return fit_vector(logits, labels, fit_temperature(logits, labels))
    return Scaling(fit_temperature(logits, labels)) if helps else PLAIN


def error(logits: Any, labels: Any) -> float:
    """Expected calibration error of calibrated logits."""
    scores = Scores(logits.shape[1])
    scores.update(logits, labels)
    return scores.result()["ece"]


def clearly_less(losses: Any, others: Any) -> bool:
    """Whether losses of the same images are less by more than chance would make them."""
    gain = others - losses
    return bool(gain.mean() > CLEARLY * gain.std(ddof=1) / np.sqrt(len(gain)))


def held_out(logits: Any, labels: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Losses and calibrated logits by what was fitted to the other folds.

    That is none, temperature and vector; where the images are too few for the numbers of a vector,
    or the classes too many, there is no vector, and no logits are kept.
    """
    folds = FOLDS if len(labels) <= MANY and logits.size <= MANY_NUMBERS else 2
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), int)
    fold[order] = np.arange(len(labels)) % folds  # each class in every fold
    classes = logits.shape[1]
    wide = classes <= MOST_CLASSES and len(labels) >= IMAGES_A_CLASS * classes
    names = ("none", "temperature", "vector") if wide else ("none", "temperature")
    losses = {name: np.empty(len(labels)) for name in names}
    found = {name: np.empty(logits.shape) for name in names if wide}
    for number in range(folds):
        ours = fold == number
        temperature = fit_temperature(logits[~ours], labels[~ours])
        fitted = {"none": PLAIN, "temperature": Scaling(temperature)}
        if wide:
            fitted["vector"] = fit_vector(logits[~ours], labels[~ours], temperature)
        for name, scaling in fitted.items():
            calibrated = scaling(logits[ours])
            losses[name][ours] = cross_entropy(calibrated, labels[ours])
            if wide:
                found[name][ours] = calibrated
    return losses, found


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
