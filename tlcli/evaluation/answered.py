"""What a network said of many images: figures of all, and logits of as many as memory should hold.

Of 100,000 classes the logits of 20,000 images fill 8 GB. Figures are counted batch by batch; what
needs whole rows of logits (calibration, sets, predictions.npz) takes an even sample of images.
"""

from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.evaluation import conformal
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.intervals import OneLabel, SeveralLabels, of_figures
from tlcli.evaluation.metrics import new_scores, probabilities
from tlcli.evaluation.scaling import PLAIN, Scaling
from tlcli.lazy import np

# Images times classes whose logits are kept, 256 MB: 67,000 images of 1,000 classes.
MOST_NUMBERS = 1 << 26


def kept_places(images: int, classes: int, numbers: int | None = None) -> Any:
    """Places of the images whose logits are kept, in order: all, or an even sample, int64.

    Args:
        images: Their number.
        classes: Likewise.
        numbers: How many logits may be kept; None for MOST_NUMBERS.
    """
    most = max(1, (MOST_NUMBERS if numbers is None else numbers) // max(1, classes))
    if images <= most:
        return np.arange(images)
    return np.linspace(0, images - 1, most).round().astype(np.int64)


class Answered:
    """Counts batches of logits as they come, in the order of the rows.

    Attributes:
        rows: Manifest rows of the images.
        places: Those among them whose logits are kept.
        scores: Figures of all.
    """

    def __init__(
        self, manifest: Manifest, rows: Any, scaling: Scaling = PLAIN, thresholds: Any = 0.5,
        sets: Sets | None = None,
    ) -> None:  # fmt: skip
        """Begin with no image.

        Args:
            manifest: Of the images.
            rows: Manifest rows of all.
            scaling: What calibrates logits.
            thresholds: Of a multi-label model.
            sets: What decides which classes the set of an image holds, or None.
        """
        self.rows, self.labels = rows, manifest.labels[rows]
        self.scores = new_scores(manifest, thresholds)
        self._classes = len(manifest.class_names)
        self.places = kept_places(len(rows), self._classes)
        self._calibrate, self._thresholds, self._sets = scaling, thresholds, sets
        self._several, self._seen, self._finite = manifest.multi_label, 0, True
        self._kept, self._facts, self._held, self._sizes = [], [], [], []  # type: ignore[var-annotated]
        self._wanted = np.zeros(len(rows), bool)
        self._wanted[self.places] = True

    def add(self, logits: Any) -> None:
        """Take in the logits of the next images, float32 (batch, classes)."""
        these = slice(self._seen, self._seen + len(logits))
        self._seen += len(logits)
        labels, calibrated = self.labels[these], self._calibrate(logits)
        self.scores.update(calibrated, labels)
        wanted = self._wanted[these]
        self._kept.append(logits if wanted.all() else logits[wanted])
        self._finite = self._finite and bool(np.isfinite(calibrated).all())
        if not self._several and len(labels):
            self._facts.append(OneLabel(calibrated, labels))
        if self._sets is not None:
            held, sizes = self._sets.judged(probabilities(calibrated, False), labels)
            self._held.append(held)
            self._sizes.append(sizes)

    @property
    def logits(self) -> Any:
        """Logits of the images at `places`, float32 (kept, classes)."""
        return np.concatenate(self._kept)

    @property
    def kept_rows(self) -> Any:
        """Manifest rows of these."""
        return self.rows[self.places]

    def lines(self) -> list[str]:
        """What to say of logits that are kept of some images alone; nothing of all."""
        kept, count, classes = len(self.places), len(self.rows), self._classes
        if kept == count:
            return []
        return [f"{'kept':<10} logits of {kept:,} of {count:,} images, an even sample, for they "
                f"have {classes:,} classes; figures are of all"]  # fmt: skip

    def figures(self) -> dict[str, float]:
        """Figures of all images in the names of metrics.json, with their intervals.

        What is not finite has no interval.
        """
        found: dict[str, float] = self.scores.result()
        if self._finite:
            found |= of_figures(found, self._drawable(), self.labels)
        if self._sets is not None:
            found |= conformal.figures(*self._of_sets())
        return found

    def classes(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Figures of the sets by class; none without sets."""
        return {} if self._sets is None else conformal.by_class(
            *self._of_sets(), self.labels, names)  # fmt: skip

    def _of_sets(self) -> tuple[Any, Any]:
        return np.concatenate(self._held), np.concatenate(self._sizes)

    def _drawable(self) -> Any:
        if not self._several:
            return OneLabel.joined(self._facts)
        logits = self.scores.logits.astype(np.float64)
        return SeveralLabels(logits, self.labels, self._thresholds)
