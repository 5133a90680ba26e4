"""The terms of the loss once more, after the warm-up: what the shares have become.

Weights are chosen before the first step. The labels' gradient falls during a training and that of
a term on maps hardly does, so a share that was small may not stay so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tlcli.lazy import np
from tlcli.system import console
from tlcli.system.notes import EXPERT, WARNING, Note
from tlcli.training.plan import Plan
from tlcli.training.term_sizes import LABELS, Size, sizes_now

# Where a training goes well the labels' gradient falls to about a tenth.
GROWN = 10.0


def tell(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say what the shares are at the first validation after the warm-up of the last phase.

    Args:
        plan: Of the training; the student has the weights of that moment.
        rows: Of metrics.csv so far.
    """
    last = plan.phases[-1]
    if not last.sizes or rows[-1]["phase"] != last.index:
        return
    before = rows[-2]["step"] if len(rows) > 1 and rows[-2]["phase"] == last.index else 0
    if before < settled_step(plan) <= rows[-1]["step"]:
        for note in notes(sizes_now(plan.pieces, plan.lesson, last.phase)):
            console.show(note)


def settled_step(plan: Plan) -> int:
    """Steps of the last phase after which rate and terms have risen, at least 1."""
    last = plan.phases[-1]
    rise = plan.lesson.method.settled_after * last.order.steps_per_epoch
    return max(1, int(np.argmax(last.rate_table)), min(round(rise), last.total_steps))


def notes(sizes: Sequence[Size]) -> list[Note]:
    """The gradient of each term over the labels', and a warning of each that has outgrown them."""
    labels = next((size.gradient for size in sizes if size.name == LABELS), 0.0)
    rated = [(s.name, s.gradient / labels, s.share) for s in sizes if s.share and labels > 0]
    if not rated:
        return []
    shown = "; ".join(f"{name} {ratio:.2g} (share {share:g})" for name, ratio, share in rated)
    found = [Note("terms", f"after the warm-up, times the labels' gradient: {shown}", EXPERT)]
    for name, ratio, share in rated:
        if ratio > GROWN * share:
            told = f"{name} has outgrown its share: a smaller distillation.share or"
            found.append(
                Note("warning", f"{told} distillation.decay=cosine keeps it below", WARNING)
            )
    return found
