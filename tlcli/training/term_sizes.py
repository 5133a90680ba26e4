"""How large each term of the loss is on the first batch, before anything is trained.

Published weights of distillation terms span nine orders of magnitude, by their reductions alone;
a term that is far off shows here instead of after the training.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tlcli.contracts.data import TRAIN
from tlcli.contracts.distillation import Batch, Outputs
from tlcli.contracts.finetune import Phase
from tlcli.data.labels import label_table
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models import trainable
from tlcli.system.seeds import batch_seed
from tlcli.training.gradients import global_norm
from tlcli.training.label_loss import label_loss
from tlcli.training.order import make_order

FAR = 100.0
LABELS = "labels"
# Past the warm-up of every term.
LATE = 1e6


@dataclass(frozen=True)
class Size:
    """A term on one batch.

    Attributes:
        name: "labels", or the method.
        loss: Mean over the images, weighted.
        gradient: Norm of its gradient by the student's trained weights.
    """

    name: str
    loss: float
    gradient: float


def looked_at(pieces: Pieces, lesson: Lesson, phase: Phase) -> tuple[Size, ...]:
    """The sizes by what a phase trains; none without a method or on several devices."""
    if not lesson.method.distils or pieces.replicas > 1:
        return ()
    return tuple(term_sizes(pieces, lesson, phase))


def plan_lines(sizes: Sequence[Size]) -> list[str]:
    """The terms in words."""
    if not sizes:
        return []
    shown = "; ".join(f"{s.name} {s.loss:.3g} (gradient {s.gradient:.3g})" for s in sizes)
    return [f"terms      first batch, full weight: {shown}", *notes(sizes)]


def notes(sizes: Sequence[Size]) -> list[str]:
    """A line for each term whose gradient is 100 times that of the labels, or a hundredth.

    A gradient of exactly 0 has another cause, as a frozen backbone or a head that starts at 0.
    """
    first = next((s for s in sizes if s.name == LABELS), None)
    if first is None or not first.gradient > 0:
        return []
    found = []
    for size in sizes:
        ratio = size.gradient / first.gradient
        if ratio == 0:
            found.append(f"           {size.name} moves nothing that the last phase trains yet")
        elif size is not first and math.isfinite(ratio) and not 1 / FAR < ratio < FAR:
            weak = "hardly counts" if ratio < 1 else "drowns the labels"
            found.append(
                f"           {size.name} {weak}: {ratio:.2g} x the labels' gradient; its weight "
                "decides"
            )
    return found


def term_sizes(pieces: Pieces, lesson: Lesson, phase: Phase) -> list[Size]:
    """Loss and gradient of the label term and of each of the method's on the first batch.

    Every variable of student and method is afterwards as it was, statistics of batches too.

    Args:
        pieces: On one device.
        lesson: With its method.
        phase: What is trained.
    """
    kept = lesson.variables
    before = [v.numpy() for v in kept]
    batch = first_batch(pieces)
    model = lesson.student.model
    try:
        with trainable.applied(model, phase, pieces.batch_norm) as rates:
            variables = [v.value for v in model.trainable_variables if v.path in rates]
            with tf.GradientTape(persistent=True) as tape:
                terms = means(pieces, lesson, batch)
            return [
                Size(name, float(loss), gradient_norm(tape, loss, variables))
                for name, loss in terms.items()
            ]
    finally:
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)


def first_batch(pieces: Pieces) -> dict[str, Any]:
    """The elements of step 0 as a stream gives them."""
    rows = pieces.manifest.rows(TRAIN)
    order = make_order(pieces, rows, 0)
    labels = label_table(pieces.manifest, rows)
    stream = pieces.train_views.stream(rows, labels, order, range(1), range(1))
    return dict(next(iter(stream)))


def means(pieces: Pieces, lesson: Lesson, batch: dict[str, Any]) -> dict[str, Any]:
    """Mean weighted loss of each term by name."""
    method = lesson.method
    found = lesson.student.extended(batch["images"], training=True)
    logits, embedding, *taps = [tf.cast(t, tf.float32) for t in tf.nest.flatten(found)]
    student = Outputs(logits, embedding, tuple(taps))
    teacher = lesson.teacher.outputs(batch)
    labels = tf.cast(batch["labels"], tf.float32)
    hard = label_loss(pieces)
    facts = Batch(
        labels=labels, indices=batch["rows"], progress=tf.zeros(()), epoch=tf.constant(LATE),
        seed=batch_seed(pieces.job.settings.seed, batch["step"]),
        multi_label=pieces.manifest.multi_label, images=batch["images"],
        label_loss=lambda logits: hard.loss(labels, logits),
    )  # fmt: skip
    terms = {}
    if method.hard_weight:
        terms[LABELS] = method.hard_weight * hard.loss(labels, logits)
    terms |= method.terms(facts, student, teacher, lesson.state)
    return {name: tf.reduce_mean(values) for name, values in terms.items()}


def gradient_norm(tape: Any, loss: Any, variables: list[Any]) -> float:
    """Norm of a term's gradient; the tape outlives it."""
    found = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return float(global_norm([tf.cast(tf.convert_to_tensor(g), tf.float32) for g in found]))
