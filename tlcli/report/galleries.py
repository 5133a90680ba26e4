"""Which pictures a report shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlcli.report.measures import losses
from tlcli.runs.predictions import Predictions


@dataclass(frozen=True)
class Gallery:
    """Rows of predictions that are shown together.

    Attributes:
        title: What they have in common.
        why: What to look for, a sentence.
        rows: Of the predictions, in order.
        asked: Class whose heat is shown, of each.
    """

    title: str
    why: str
    rows: list[int]
    asked: list[int]


def galleries(found: Predictions, guesses: Any, most: int) -> list[Gallery]:
    """Top losses, confidently wrong, least sure and most typical images, up to a number of each."""
    if not most or not len(found.ids):
        return []
    several, shares = found.multi_label, found.probabilities
    loss = losses(found)
    best = shares.argmax(1)
    sure = shares[np.arange(len(best)), best].astype(float)
    if several:
        wrong = (guesses != (found.labels > 0)).any(1)
        gap = np.where(found.labels > 0, 1 - shares, shares)
        sure, doubt = gap.max(1), np.abs(shares - found.thresholds).min(1)
        blamed = gap.argmax(1)
    else:
        wrong = guesses != found.labels
        doubt = sure - np.partition(shares, -2, 1)[:, -2] if shares.shape[1] > 1 else sure
        blamed = best
    typical = _typical(found, loss, wrong, most)
    chosen = (
        ("Top losses", "Labels that the network thinks least of: wrong ones are among them.",
         _first(-loss, np.ones(len(loss), bool), most), blamed),
        ("Confidently wrong", "Sure of another answer than the label.",
         _first(-sure, wrong, most), blamed),
        ("Least sure", "Between two answers.", _first(doubt, np.ones(len(loss), bool), most), best),
        ("Most typical", "What the network takes each class to be.", typical, best),
    )  # fmt: skip
    return [Gallery(title, why, rows, [int(asked[row]) for row in rows])
            for title, why, rows, asked in chosen if rows]  # fmt: skip


def _first(rank: Any, among: Any, most: int) -> list[int]:
    rows = np.flatnonzero(among)
    return [int(row) for row in rows[np.argsort(rank[rows], kind="stable")[:most]]]


def _typical(found: Predictions, loss: Any, wrong: Any, most: int) -> list[int]:
    """The right answers of the least loss, one of each class as long as there are any."""
    if found.multi_label:
        return _first(loss, ~wrong, most)
    right = np.flatnonzero(~wrong)
    order = right[np.argsort(loss[right], kind="stable")]
    _, first = np.unique(found.labels[order], return_index=True)
    return [int(row) for row in order[np.sort(first)[:most]]]
