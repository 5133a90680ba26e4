"""Sets of classes that hold the right one as often as asked (conformal prediction).

The score of a class is the probability of all that are likelier and half of its own (APS; Romano et
al. 2020, arXiv:2006.02544), and a penalty a rank beyond the first (RAPS; Angelopoulos et al. 2021,
arXiv:2009.14193), which keeps the sets of many classes short. The papers draw how much of its own
probability counts; half of it, the mean of that draw, gives the same set each time. All of it gives
sets that cover more than asked and are half as large again. A set holds the classes whose score is
at most a quantile of the scores that validation images give their own labels.

A class with images enough has a quantile of its own, so that it is covered as often as the others;
the rest share one (Mondrian conformal prediction; Vovk 2012, arXiv:1209.2673).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.evaluation.intervals import wilson
from tlcli.lazy import np

# What each rank beyond the first FREE adds to the score of a class.
PENALTY, FREE = 0.01, 5
# Images of a class that are expected outside its quantile where it has one of its own.
OUTSIDE = 5
Z95 = 1.959964
# Numbers that are ranked at a time.
PIECE = 1 << 22
# A score is as good as the threshold within this, lest the last bits of logits decide.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Sets:
    """What decides which classes the set of an image holds.

    Attributes:
        coverage: Share of images whose set is to hold the right class, in (0, 1).
        penalty: What each rank beyond the free ones adds to the score.
        free: Ranks without.
        thresholds: Highest score of each class (classes,); None where it is in every set, for too
            few images tell of it.
        own: Whether each class has a threshold of its own images (classes,).
    """

    coverage: float
    penalty: float
    free: int
    thresholds: tuple[float | None, ...]
    own: tuple[bool, ...]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Sets":
        """Those that `as_json` told of, its values checked."""
        lists = {name: tuple(values[name]) for name in ("thresholds", "own")}
        return cls(**{**values, **lists})

    def members(self, probabilities: Any) -> Any:
        """Which classes are in the set of each image, bool (batch, classes).

        The likeliest class always is.
        """
        most = np.array([math.inf if one is None else one for one in self.thresholds])
        found = scores(probabilities, self.penalty, self.free) <= most + ROUNDING
        found[np.arange(len(found)), np.argsort(-probabilities, -1, "stable")[:, 0]] = True
        return found

    def judged(self, probabilities: Any, labels: Any) -> tuple[Any, Any]:
        """Whether the set of each image holds its label, bool (batch,), and its size."""
        members = self.members(probabilities)
        return members[np.arange(len(labels)), labels], members.sum(-1)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for metadata.json."""
        return {
            "coverage": self.coverage, "penalty": self.penalty, "free": self.free,
            "thresholds": list(self.thresholds), "own": list(self.own),
        }  # fmt: skip


def scores(probabilities: Any, penalty: float = PENALTY, free: int = FREE) -> Any:
    """Score of each class of each image, float (batch, classes); the likeliest has the lowest."""
    order = np.argsort(-probabilities, -1, "stable")
    ordered = np.take_along_axis(probabilities, order, -1)
    ranks = np.arange(1, probabilities.shape[-1] + 1)
    sums = np.cumsum(ordered, -1) - ordered / 2 + penalty * np.maximum(ranks - free, 0)
    found = np.empty_like(sums)
    np.put_along_axis(found, order, sums, -1)
    return found


def fitted(probabilities: Any, labels: Any, coverage: float) -> Sets:
    """The sets of a coverage, from validation images.

    Args:
        probabilities: Calibrated, float (samples, classes).
        labels: Class indices (samples,).
        coverage: In (0, 1).
    """
    labels = np.asarray(labels)
    given = _own_scores(probabilities, labels)
    own = with_own(np.bincount(labels, minlength=probabilities.shape[1]), coverage)
    rest = quantile(given[~own[labels]], coverage)
    thresholds = [
        quantile(given[labels == index], coverage) if alone else rest
        for index, alone in enumerate(own)
    ]
    return Sets(coverage, PENALTY, FREE, tuple(thresholds), tuple(map(bool, own)))


def _own_scores(probabilities: Any, labels: Any) -> Any:
    """Score of the label of each image, a few images at a time, float (samples,)."""
    step = max(1, PIECE // max(1, probabilities.shape[1]))
    found = [np.zeros(0)]
    for start in range(0, len(labels), step):
        part = labels[start : start + step]
        found.append(scores(probabilities[start : start + step])[np.arange(len(part)), part])
    return np.concatenate(found)


def with_own(counts: Any, coverage: float) -> Any:
    """Which classes get a threshold of their own, bool (classes,).

    Those of so many images that OUTSIDE of them are expected beyond it. Where the others together
    have fewer, the smallest of these join them.

    Args:
        counts: Validation images of each class, integers (classes,).
        coverage: In (0, 1).
    """
    least = math.ceil(OUTSIDE / (1 - coverage) - 1e-9)
    own = counts >= least
    for index in np.argsort(counts, kind="stable"):
        if own.all() or not own.any() or counts[~own].sum() >= least:
            break
        own[index] = False
    return own


def quantile(given: Any, coverage: float) -> float | None:
    """Score that a new image's stays below as often as asked; None where images are too few.

    Of n images it is that of rank (n + 1) coverage, rounded up.
    """
    rank = math.ceil((len(given) + 1) * coverage - 1e-9)
    return float(np.sort(given)[rank - 1]) if rank <= len(given) else None


def figures(held: Any, sizes: Any) -> dict[str, float]:
    """Share of images whose set holds their label, and the mean size, each with its interval.

    Args:
        held: Whether it does, bool (samples,).
        sizes: Classes of each set, integers (samples,).
    """
    low, high = wilson(int(held.sum()), len(held))
    half = Z95 * float(sizes.std(ddof=1)) / math.sqrt(len(sizes)) if len(sizes) > 1 else 0.0
    size = float(sizes.mean())
    return {
        "coverage": float(held.mean()), "coverage_low": float(low), "coverage_high": float(high),
        "set_size": size, "set_size_low": max(0.0, size - half), "set_size_high": size + half,
    }  # fmt: skip


def by_class(
    held: Any, sizes: Any, labels: Any, names: Sequence[str]
) -> dict[str, Mapping[str, float]]:
    """`figures` of the images of each class that has any, by its name, and how many those are."""
    order = np.argsort(labels, kind="stable")
    there, starts = np.unique(labels[order], return_index=True)
    found: dict[str, Mapping[str, float]] = {}
    for index, ours in zip(there.tolist(), np.split(order, starts[1:]), strict=True):
        found[names[index]] = {"samples": len(ours), **figures(held[ours], sizes[ours])}
    return found


def told(sets: Sets) -> str:
    """What was fitted, in words."""
    text = f"of classes, to hold the right one for {100 * sets.coverage:g} % of images"
    number, own = len(sets.own), sum(sets.own)
    if own:
        text += f"; {own} of {number} classes have a threshold of their own"
    every = sum(one is None for one in sets.thresholds)
    if every:
        which = "all classes" if every == number else f"{every} classes"
        text += f"; the validation images are too few for that, so every set holds {which}"
    return text
