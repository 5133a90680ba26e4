"""Stratified, seeded splits; of several labels by Sechidis et al. 2011, ECML PKDD."""

from typing import Any

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.errors import ConfigError, require
from tlcli.lazy import np


def check_fractions(validation: float, test: float) -> None:
    """Refuse fractions that leave nothing to train on.

    Raises:
        ConfigError: A fraction below 0, or both together 1 or more.
    """
    remedy = "Give a number from 0 up to, not including, 1."
    require(0 <= validation < 1, "data.validation_fraction", validation, remedy)
    require(0 <= test < 1, "data.test_fraction", test, remedy)
    if validation + test >= 1:
        raise ConfigError(
            "data.validation_fraction",
            f"got {validation} and test_fraction {test}, which leave nothing to train on",
            "Give two fractions whose sum is below 1.",
        )


def split_labels(labels: Any, fractions: tuple[float, float], seed: int) -> Any:
    """Split of each sample, the classes shared out alike; int8 (samples,).

    Every class gives at least one sample to a split whose fraction is above 0. The test part
    depends on the labels, the test fraction and the seed only. Unlabelled samples are for training.

    Args:
        labels: Class indices, int (samples,), -1 where unlabelled; or multi-hot (samples, classes).
        fractions: Of validation and of test, each from 0, sum below 1.
        seed: Same seed, same split.

    Raises:
        ValueError: A class has fewer samples than there are splits (single labels only).
    """
    if labels.ndim == 2:
        return _split_multi_hot(np.asarray(labels, bool), fractions, seed)
    splits = np.full(len(labels), TRAIN, np.int8)
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    for label in range(len(starts) - 1):
        members = order[starts[label] : starts[label + 1]]
        if not len(members):
            continue
        validation, test = (_share(len(members), fraction) for fraction in fractions)
        if validation + test >= len(members):
            raise ValueError(f"class {label} has too few samples to split: {len(members)}")
        members = np.random.default_rng([seed, label]).permutation(members)
        splits[members[:test]] = TEST
        splits[members[test : test + validation]] = VALIDATION
    return splits


def _share(count: int, fraction: float) -> int:
    """Samples of a class that a split gets: the nearest number, at least one, none for 0."""
    return max(1, int(count * fraction + 0.5)) if fraction > 0 else 0


def _split_multi_hot(labels: Any, fractions: tuple[float, float], seed: int) -> Any:
    """Rarest label first, each of its samples to the split that lacks the label most."""
    rng = np.random.default_rng(seed)
    shares = np.array([1 - sum(fractions), *fractions])
    splits = np.full(len(labels), -1, np.int8)
    splits[~labels.any(1)] = TRAIN
    order = rng.permutation(len(labels))
    wanted = shares[:, None] * labels.sum(0)
    room = shares * labels.any(1).sum()
    open_counts = labels.sum(0).astype(np.int64)
    while open_counts.any():
        label = int(np.argmin(np.where(open_counts > 0, open_counts, len(labels) + 1)))
        rows = order[labels[order, label] & (splits[order] < 0)]
        for row in rows:
            need = np.where(shares > 0, wanted[:, label], -np.inf)
            best = np.flatnonzero(need == need.max())
            split = int(best[np.argmax(room[best])])
            splits[row] = split
            wanted[split, labels[row]] -= 1
            room[split] -= 1
        open_counts -= labels[rows].sum(0)
    return splits
