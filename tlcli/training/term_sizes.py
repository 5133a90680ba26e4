"""How large each term of the loss is before anything is trained.

Published weights of distillation terms span nine orders of magnitude, by their reductions alone;
a term that is far off shows here instead of after the training.

A new head starts at zero, and labels move nothing below it then. So the head is first fitted to
embeddings of some batches, as a few steps of the training would, and put back after.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TRAIN
from tlcli.contracts.distillation import Batch, Outputs
from tlcli.contracts.finetune import Phase
from tlcli.data.labels import label_table
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models import trainable
from tlcli.system import console
from tlcli.system.notes import EXPERT, WARNING, Note
from tlcli.system.seeds import batch_seed
from tlcli.training.gradients import global_norm, of_head
from tlcli.training.label_loss import label_loss
from tlcli.training.order import make_order

FAR = 100.0
# A term this many times above its share has cost accuracy where it was measured.
ABOVE = 2.0
LABELS = "labels"
# Past the warm-up of every term.
LATE = 1e6
# Batches that the head is fitted to, steps of that, and the first one's length.
FITTED, FIT_STEPS, FIRST_RATE = 4, 40, 0.003


@dataclass(frozen=True)
class Size:
    """A term on one batch.

    Attributes:
        name: "labels", or the method.
        loss: Mean over the images, weighted.
        gradient: Norm of its gradient by the student's trained weights.
        share: What it may be of the labels' gradient, by its method; None for the labels.
    """

    name: str
    loss: float
    gradient: float
    share: float | None = None


def looked_at(pieces: Pieces, lesson: Lesson, phase: Phase) -> tuple[Size, ...]:
    """The sizes by what a phase trains; none without a method."""
    if not lesson.method.distils:
        return ()
    with console.Stage("measuring the terms of the loss"):
        return tuple(term_sizes(pieces, lesson, phase))


def plan_notes(sizes: Sequence[Size]) -> list[Note]:
    """The terms in words, for experts but where one is far off."""
    if not sizes:
        return []
    shown = "; ".join(f"{s.name} {s.loss:.3g} (gradient {s.gradient:.3g})" for s in sizes)
    told = f"first batch, fitted head, full weight: {shown}"
    return [Note("terms", told, EXPERT), *(Note("warning", n, WARNING) for n in notes(sizes))]


def notes(sizes: Sequence[Size]) -> list[str]:
    """A line for each term whose gradient is far above its share of the labels', or a hundredth.

    A gradient of exactly 0 has another cause, as a frozen backbone or a head that starts at 0.
    """
    first = next((s for s in sizes if s.name == LABELS), None)
    if first is None or not first.gradient > 0:
        return []
    found = []
    for size in sizes:
        ratio = size.gradient / first.gradient
        if ratio == 0:
            found.append(f"{size.name} moves nothing that the last phase trains yet")
        elif size.share is not None and math.isfinite(ratio):
            if ratio < 1 / FAR:
                found.append(f"{size.name} hardly counts: {ratio:.2g} x the labels' gradient")
            elif ratio > ABOVE * size.share:
                found.append(
                    f"{size.name} drowns the labels: {ratio:.2g} x their gradient, "
                    f"{size.share:g} is its share; give distillation.soft_weight=auto"
                )
    return found


def term_sizes(pieces: Pieces, lesson: Lesson, phase: Phase) -> list[Size]:
    """Loss and gradient of the label term and of each of the method's on the first batch.

    Gradients are those of the trained part of the backbone, or of the head where that is all.
    Every variable of student and method is afterwards as it was, statistics of batches too.

    Args:
        pieces: Of the training.
        lesson: With its method.
        phase: What is trained.
    """
    batch, *others = first_batches(pieces, 1 + FITTED)
    with untouched(lesson), trained_by(pieces, lesson, phase) as variables:
        head = [v.value for v in variables if of_head(v)]
        if head:
            fit_head(pieces, lesson, others, head)
        return sizes_on(pieces, lesson, batch, variables)


def sizes_now(pieces: Pieces, lesson: Lesson, phase: Phase) -> list[Size]:
    """As `term_sizes`, by the weights that the student has now."""
    (batch,) = first_batches(pieces, 1)
    with untouched(lesson), trained_by(pieces, lesson, phase) as variables:
        return sizes_on(pieces, lesson, batch, variables)


@contextlib.contextmanager
def untouched(lesson: Lesson) -> Iterator[None]:
    """Every variable of student and method is afterwards as it was."""
    kept = lesson.variables
    before = [v.numpy() for v in kept]
    try:
        yield
    finally:
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)


@contextlib.contextmanager
def trained_by(pieces: Pieces, lesson: Lesson, phase: Phase) -> Iterator[list[Any]]:
    """The student's variables that a phase trains, the model marked for it meanwhile."""
    model = lesson.student.model
    with trainable.applied(model, phase, pieces.batch_norm) as rates:
        yield [v for v in model.trainable_variables if v.path in rates]


def sizes_on(
    pieces: Pieces, lesson: Lesson, batch: dict[str, Any], variables: list[Any]
) -> list[Size]:
    """Loss and gradient of each term on a batch, by the backbone's variables or else the head's."""
    body = [v.value for v in variables if not of_head(v)] or [v.value for v in variables]
    with tf.GradientTape(persistent=True) as tape:
        terms = means(pieces, lesson, batch)
    shares = lesson.method.shares
    return [
        Size(name, float(loss), gradient_norm(tape, loss, body), shares.get(name))
        for name, loss in terms.items()
    ]


def first_batches(pieces: Pieces, count: int) -> list[dict[str, Any]]:
    """The elements of the first steps, whole, as a stream gives them to a single device."""
    rows = pieces.manifest.rows(TRAIN)
    order = replace(make_order(pieces, rows, 0), replicas=1)
    labels = label_table(pieces.manifest, rows)
    stream = pieces.train_views.stream(rows, labels, order, range(count), range(1))
    return [dict(batch) for batch, _ in zip(stream, range(count), strict=False)]


def fit_head(pieces: Pieces, lesson: Lesson, batches: list[Any], variables: list[Any]) -> None:
    """Move the head as a few steps would: each variable by its gradient over that one's size."""
    student, hard = lesson.student, label_loss(pieces)
    body = keras.Model(student.model.inputs, student.features)
    head = keras.Model(student.features, student.model.outputs)
    seen = [body(batch["images"], training=False) for batch in batches]
    features = tf.concat([tf.convert_to_tensor(found) for found in seen], 0)
    labels = tf.concat([tf.cast(batch["labels"], tf.float32) for batch in batches], 0)
    for rate in np.linspace(FIRST_RATE, 0.0, FIT_STEPS, endpoint=False):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(hard.loss(labels, tf.cast(head(features), tf.float32)))
        found = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        for variable, gradient in zip(variables, found, strict=True):
            size = tf.sqrt(tf.reduce_mean(tf.square(gradient)))
            variable.assign_sub(tf.cast(rate, gradient.dtype) * gradient / (size + 1e-12))


def means(pieces: Pieces, lesson: Lesson, batch: dict[str, Any]) -> dict[str, Any]:
    """Mean weighted loss of each term by name."""
    method = lesson.method
    # Outside a replica, statistics are of the whole batch, as they are over all devices in a step.
    with pieces.strategy.scope():
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
