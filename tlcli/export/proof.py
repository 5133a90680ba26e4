"""Whether an export answers as its run does, seen through its own runtime."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlcli.errors import TlError
from tlcli.evaluation import significance
from tlcli.evaluation.strangers import Strangers
from tlcli.export.contract import Engine
from tlcli.system.shown import shown

# Of probabilities, where numbers keep their width: what another order of sums may change.
CLOSE = 1e-3


@dataclass(frozen=True)
class Proof:
    """An export beside its run, on the same images.

    Attributes:
        images: How many.
        agreement: Share of them with the same answer.
        difference: Largest one of a probability.
        split: Of the images whose labels are known; "" where none are.
        figure: accuracy or mean_average_precision.
        run: That figure of the run, or None.
        export: That of the export, or None.
        low: Ends of the interval of export - run.
        high: See low.
    """

    images: int
    agreement: float
    difference: float
    split: str = ""
    figure: str = ""
    run: float | None = None
    export: float | None = None
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, those that are known."""
        return {name: value for name, value in vars(self).items() if value not in (None, "")}

    @property
    def lost(self) -> float:
        """How much of the figure the export lost."""
        if self.run is None or self.export is None:
            return 1 - self.agreement
        return self.run - self.export


def answers(engine: Engine, batches: Iterable[Any]) -> dict[str, Any]:
    """Outputs of batches of images by name, float32 (images, classes or channels)."""
    found = [engine(np.ascontiguousarray(batch)) for batch in batches]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def proved(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], labels: Any, split: str, thresholds: Any,
    calibrated: Callable[[Any], Any],
) -> Proof:  # fmt: skip
    """An export beside its run.

    Args:
        ours: `logits` and `probabilities` of the run (images, classes).
        theirs: Those of the export.
        labels: Class indices (images,), multi-hot (images, classes), or None where unknown.
        split: Of the images.
        thresholds: Of several labels an image.
        calibrated: From logits to calibrated ones.
    """
    several = labels is not None and labels.ndim == 2
    guesses = [
        one["probabilities"] >= thresholds if several else one["probabilities"].argmax(-1)
        for one in (ours, theirs)
    ]
    same = guesses[0] == guesses[1]
    agreement = float((same.all(-1) if several else same).mean())
    apart = np.abs(ours["probabilities"] - theirs["probabilities"]).max()
    near = Proof(len(same), agreement, float(apart))
    if labels is None:
        return near
    figure = "mean_average_precision" if several else "accuracy"
    better, worse = (calibrated(one["logits"]) for one in (theirs, ours))
    found = significance.on_images(better, worse, labels, figure, (thresholds, thresholds))
    first, second = (significance.value(calibrated(one["logits"]), labels, figure, thresholds)
                     for one in (ours, theirs))  # fmt: skip
    return replace(near, split=split, figure=figure, run=first, export=second,
                   low=found.low, high=found.high)  # fmt: skip


def same_marks(known: Strangers, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """Share of images that run and export both mark as strangers, or both do not.

    Args:
        known: What tells strangers.
        ours: `logits` and `embedding` of the run, (images, classes or channels).
        theirs: Those of the export.
    """
    marks = [known.are(known.scores(one["logits"], one["embedding"])) for one in (ours, theirs)]
    return float((marks[0] == marks[1]).mean())


def check(
    found: Proof, quantize: str, tolerance: float, where: str,
    worst: Callable[[], Sequence[str]] = tuple,
) -> None:  # fmt: skip
    """Refuse an export that does not answer as its run does.

    Args:
        found: What was seen.
        quantize: How its numbers were made smaller.
        tolerance: Largest loss of the figure.
        where: What is told of, for the message.
        worst: Names of the layers whose rounding changes answers most; asked for where it is told.

    Raises:
        TlError: It is beyond the tolerance.
    """
    if quantize == "none" and found.difference > CLOSE:
        raise TlError(
            f"{where}: probabilities differ by {found.difference:.2g} from those of the run, and "
            f"may by {CLOSE:g}. This is a fault of the converter: take another format."
        )
    if found.lost > tolerance:
        what = found.figure.replace("_", " ") or "agreement"
        raise TlError(
            f"{where}: {what} falls by {found.lost:.4f}, and may by tolerance={tolerance:g}. "
            f"{_blamed(worst())}Take another quantize, more fit_steps, or a larger tolerance."
        )


def _blamed(names: Sequence[str]) -> str:
    return f"Most comes of {', '.join(map(shown, names))}. " if names else ""
