"""What a classifier is worth, from logits and labels, in numpy and in one pass over batches."""

from dataclasses import dataclass, field
from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.lazy import np

BINS = 15
# Classes up to which it is counted which was taken for which: of 100,000 that were 80 GB.
MOST_SQUARE = 1000
# Numbers that are held in double precision at a time.
PIECE = 1 << 22


def softmax(logits: Any) -> Any:
    """Probabilities, float64 (samples, classes)."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits: Any) -> Any:
    """Independent probabilities, float64, without overflow."""
    return 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))


def probabilities(logits: Any, multi_label: bool, scaling: Scaling = PLAIN) -> Any:
    """Probabilities of logits, float64 (batch, classes)."""
    if multi_label:
        return sigmoid(logits)
    return softmax(scaling(logits))


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Cross-entropy with class indices in nats, float64 (samples,)."""
    found = np.empty(len(labels))
    step = max(1, PIECE // max(1, logits.shape[1]))
    for start in range(0, len(labels), step):
        part, own = logits[start : start + step], labels[start : start + step]
        shifted = part.astype(np.float64) - part.max(-1, keepdims=True)
        log_sum = np.log(np.exp(shifted).sum(-1))
        found[start : start + step] = log_sum - shifted[np.arange(len(own)), own]
    return found


def binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """Sum over classes of the binary cross-entropies in nats, float64 (samples,)."""
    logits = logits.astype(np.float64)
    terms = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    return terms.sum(-1)


def ranked(logits: Any, labels: Any) -> tuple[Any, Any]:
    """The likeliest class of each image, and how many are likelier than its label, (batch,) each.

    Of equal logits the lower class wins; what is no number is below all others.

    Args:
        logits: float (batch, classes).
        labels: Class indices (batch,).
    """
    logits = np.asarray(logits)
    if np.isnan(logits).any():
        logits = np.where(np.isnan(logits), -np.inf, logits)
    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < np.asarray(labels)[:, None]
    ranks = (logits > own).sum(-1) + ((logits == own) & before).sum(-1)
    return logits.argmax(-1), ranks


@dataclass
class Scores:
    """Figures of a single-label classifier, gathered batch by batch.

    Attributes:
        classes: Number of classes.
        real: Images of each class, int64 (classes,).
        guessed: Images that were given each class.
        right: Both.
        confusion: How often each class was taken for each, a row a real class; None of more than
            MOST_SQUARE classes.
    """

    classes: int
    loss: float = 0.0
    top1: int = 0
    top5: int = 0
    samples: int = 0
    real: Any = None
    guessed: Any = None
    right: Any = None
    confusion: Any = None
    bins: Any = field(default_factory=lambda: np.zeros((BINS, 3)))

    def __post_init__(self) -> None:
        count = self.classes
        self.real, self.guessed, self.right = (np.zeros(count, np.int64) for _ in range(3))
        if count <= MOST_SQUARE:
            self.confusion = np.zeros((count, count), np.int64)

    def update(self, logits: Any, labels: Any, probabilities: Any = None) -> None:
        """Add a batch.

        Args:
            logits: float (batch, classes).
            labels: Class indices (batch,).
            probabilities: float (batch, classes); None takes the softmax of the logits.
        """
        step = max(1, PIECE // max(1, self.classes))
        if len(labels) > step:
            for start in range(0, len(labels), step):
                some = slice(start, start + step)
                shares = None if probabilities is None else probabilities[some]
                self.update(logits[some], labels[some], shares)
            return
        if not len(labels):
            return
        probabilities = softmax(logits) if probabilities is None else probabilities
        self.loss += float(cross_entropy(logits, labels).sum())
        guesses, ranks = ranked(logits, labels)
        self.top1 += int((guesses == labels).sum())
        self.top5 += int((ranks < 5).sum())
        self.samples += len(labels)
        for counts, these in ((self.real, labels), (self.guessed, guesses),
                              (self.right, guesses[guesses == labels])):  # fmt: skip
            np.add.at(counts, these, 1)
        if self.confusion is not None:
            np.add.at(self.confusion, (labels, guesses), 1)
        confidence = np.nan_to_num(probabilities[np.arange(len(labels)), guesses])
        which = np.minimum((confidence * BINS).astype(int), BINS - 1)
        np.add.at(self.bins, (which, 0), 1)
        np.add.at(self.bins, (which, 1), confidence)
        np.add.at(self.bins, (which, 2), guesses == labels)

    def result(self) -> dict[str, float]:
        """The figures as they stand, in the names of metrics.json."""
        total = max(self.samples, 1)
        right, real, guessed = self.right.astype(float), self.real, self.guessed
        present = real > 0
        f1 = 2 * right / np.maximum(real + guessed, 1)
        recall = right / np.maximum(real, 1)
        gap = np.abs(self.bins[:, 1] - self.bins[:, 2]).sum() / total
        return {
            "loss": self.loss / total,
            "accuracy": self.top1 / total,
            "top5_accuracy": self.top5 / total,
            "macro_f1": float(f1[present | (guessed > 0)].mean()) if total else 0.0,
            "balanced_accuracy": float(recall[present].mean()) if present.any() else 0.0,
            "ece": float(gap),
            "samples": self.samples,
        }

    def per_class(self) -> Any:
        """Recall of each class, float (classes,), nan where it has no sample."""
        recall = self.right / np.maximum(self.real, 1)
        return np.where(self.real > 0, recall, np.nan)


class MultiLabelScores:
    """Figures of a multi-label classifier; keeps the scores, which average precision needs."""

    def __init__(self, classes: int, thresholds: Any = 0.5) -> None:
        self.classes = classes
        self.thresholds = np.broadcast_to(np.asarray(thresholds, float), (classes,))
        self._logits: list[Any] = []
        self._labels: list[Any] = []

    def update(self, logits: Any, labels: Any, probabilities: Any = None) -> None:
        """Add a batch: logits float (batch, classes), labels multi-hot (batch, classes)."""
        self._logits.append(np.asarray(logits, np.float32))
        self._labels.append(np.asarray(labels, np.uint8))

    @property
    def logits(self) -> Any:
        """All logits, float32 (samples, classes)."""
        return np.concatenate(self._logits)

    @property
    def labels(self) -> Any:
        """All labels, uint8 (samples, classes)."""
        return np.concatenate(self._labels)

    def result(self) -> dict[str, float]:
        """The figures in the names of metrics.json; accuracy is that of single decisions."""
        logits, labels = self.logits, self.labels
        probabilities = sigmoid(logits)
        guesses = probabilities >= self.thresholds
        right = (guesses & (labels > 0)).sum(0)
        f1 = 2 * right / np.maximum(guesses.sum(0) + labels.sum(0), 1)
        bins = np.minimum((np.nan_to_num(probabilities) * BINS).astype(int), BINS - 1)
        gap = sum(
            abs(float((probabilities - labels)[bins == index].sum())) for index in range(BINS)
        )
        return {
            "loss": float(binary_cross_entropy(logits, labels).mean()),
            "accuracy": float((guesses == (labels > 0)).mean()),
            "subset_accuracy": float((guesses == (labels > 0)).all(-1).mean()),
            "macro_f1": float(f1.mean()),
            "balanced_accuracy": balanced_accuracy(guesses, labels > 0),
            "mean_average_precision": mean_average_precision(probabilities, labels),
            "ece": gap / labels.size,
            "samples": len(labels),
        }

    def per_class(self) -> Any:
        """F1 of each class, float (classes,)."""
        guesses = sigmoid(self.logits) >= self.thresholds
        labels = self.labels > 0
        return 2 * (guesses & labels).sum(0) / np.maximum(guesses.sum(0) + labels.sum(0), 1)


def balanced_accuracy(guesses: Any, labels: Any) -> float:
    """Mean over classes of the mean recall of positives and negatives, as scikit-learn has it.

    A side that a class lacks is left out of its mean, for there is nothing to be right or wrong on.

    Args:
        guesses: bool (samples, classes).
        labels: bool (samples, classes).
    """
    counts = np.stack([labels.sum(0), (~labels).sum(0)])
    right = np.stack([(guesses & labels).sum(0), (~guesses & ~labels).sum(0)])
    there = counts > 0
    recall = np.where(there, right / np.maximum(counts, 1), 0.0)
    return float((recall.sum(0) / np.maximum(there.sum(0), 1)).mean())


def mean_average_precision(scores: Any, labels: Any) -> float:
    """Mean over classes that occur of the average precision, ties in the order of samples."""
    found = []
    for index in range(labels.shape[1]):
        hits = labels[np.argsort(-scores[:, index], kind="stable"), index] > 0
        if hits.any():
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            found.append(float(precision[hits].mean()))
    return float(np.mean(found)) if found else 0.0


def new_scores(manifest: Manifest, thresholds: Any = 0.5) -> Any:
    """An empty counter of the right kind."""
    classes = len(manifest.class_names)
    if manifest.multi_label:
        return MultiLabelScores(classes, thresholds)
    return Scores(classes)
