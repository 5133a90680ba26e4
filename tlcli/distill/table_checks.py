"""Whether a table of stored outputs is what it is called: shape, numbers, order of its rows."""

from pathlib import Path
from typing import Any

import numpy as np

from tlcli.contracts.data import Manifest
from tlcli.distill.table import Stored, shown
from tlcli.errors import ConfigError, DataError

# Rows in a wrong order have a kappa near 0; a teacher worth its name has far more.
LEAST_KAPPA = 0.1


def check_order(stored: Stored, manifest: Manifest) -> None:
    """Refuse rows that stand in another order than the images, as far as labels can tell.

    Cohen's kappa (1960) is 0 where rows are as good in any order. Rows that were swapped within
    their class, or a few among many, stay unseen: ids are the safe way.

    Raises:
        ConfigError: No labels to tell by.
        DataError: The rows do not fit the labels.
    """
    place = {name: row for row, name in enumerate(map(str, manifest.ids))}
    rows = np.array([place[name] for name in stored.ids.tolist()])
    if manifest.multi_label or not (manifest.labels[rows] >= 0).any():
        raise ConfigError(
            "teacher.rows", "the order of rows is checked by one label an image, and there is none",
            "Store the ids.",
        )  # fmt: skip
    known = manifest.labels[rows] >= 0
    labels, guesses = manifest.labels[rows][known], stored.logits.argmax(-1)[known]
    right, any_order = float((labels == guesses).mean()), shuffled_accuracy(labels, guesses)
    if right - any_order <= LEAST_KAPPA * (1 - any_order):
        raise DataError(
            str(stored.path), f"is right on {right:.4f} of the labelled images, and in any other "
            f"order it would be on {any_order:.4f}: its rows are not in the order of split.csv",
            "Store the ids beside the rows.",
        )  # fmt: skip


def shuffled_accuracy(labels: Any, guesses: Any) -> float:
    """Expected accuracy of guesses that are dealt out to the images by chance."""
    classes = int(max(labels.max(), guesses.max())) + 1
    shares = [np.bincount(x, minlength=classes) / len(x) for x in (labels, guesses)]
    return float(shares[0] @ shares[1])


def check_shape(path: Path, ids: Any, values: Any) -> None:
    """Refuse what is no table of numbers with one row an id.

    Raises:
        DataError: Naming the shapes, or the ids that stand twice.
    """
    if values.ndim != 2 or ids.shape != (len(values),) or values.dtype.kind not in "fiu":
        raise DataError(
            str(path), f"has ids {ids.shape} and {values.dtype} values {values.shape}",
            "Give numbers (images, classes) and as many ids.",
        )  # fmt: skip
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) != len(ids):
        raise DataError(
            str(path), f"has {shown(unique[counts > 1])} more than once", "Give each id one row."
        )


def check_numbers(path: Path, ids: Any, values: Any, kind: str, multi_label: bool) -> None:
    """Refuse numbers that are not finite, or not what they are called.

    Args:
        path: In messages.
        ids: str (images,).
        values: (images, classes).
        kind: "logits" or "probabilities".
        multi_label: Whether classes are independent.

    Raises:
        DataError: Naming the images.
    """
    bad = ~np.isfinite(values).all(-1)
    if bad.any():
        raise DataError(
            str(path), f"has numbers that are not finite for {shown(ids[bad])}",
            "Compute these rows again.",
        )  # fmt: skip
    inside = bool(((values >= 0) & (values <= 1)).all())
    sums = np.abs(values.astype(np.float64).sum(-1) - 1) < 1e-2
    if kind == "logits" and inside and not multi_label and sums.all() and len(values):
        raise DataError(
            str(path), "calls probabilities logits: every row is from 0 to 1 and sums to 1",
            "Name the array probabilities, or give teacher.kind=probabilities.",
        )  # fmt: skip
    if kind == "probabilities" and not (inside and (multi_label or sums.all())):
        wrong = ids[~sums] if inside else ids[((values < 0) | (values > 1)).any(-1)]
        raise DataError(
            str(path), f"has probabilities that do not sum to 1 or leave [0, 1]: {shown(wrong)}",
            "Name the array logits if it holds logits.",
        )  # fmt: skip
