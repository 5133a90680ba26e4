"""The arms of `tl bench`: each part of the work by `tl` and by plain Keras."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.commands import plain_keras
from tlcli.config import registry
from tlcli.contracts.data import TRAIN
from tlcli.contracts.distillation import NO_STATE
from tlcli.data.arrays import ArrayImages
from tlcli.data.decoded import DecodedImages
from tlcli.data.labels import label_table
from tlcli.data.views import Views
from tlcli.distill.attach import with_maps
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.distill.sorted_maps import SortedMaps
from tlcli.distill.teaching import NoTeacher
from tlcli.evaluation.classifier import classifier
from tlcli.models import fold
from tlcli.models.frozen.network import compute
from tlcli.models.student import build_student
from tlcli.runs import checkpoint
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import phase_plan
from tlcli.training.strategy import phases

BATCH = 32


# Pictures that a round reads from files at least, again and again if they are fewer: TensorFlow
# needs a few hundred to learn what the small operations of a pipeline cost.
MANY = 512


# Does the work once; gives what is still to be let go of (an iterator), or None.
Work = Callable[[], Any]


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        pieces: Data and network.
        lesson: The student with its teacher.
    """

    pieces: Pieces
    lesson: Lesson


def in_memory(subject: Subject) -> Subject:
    """The same over pictures that are decoded and resized already."""
    manifest, plain = subject.pieces.manifest, subject.pieces.plain_views
    rows = manifest.rows(TRAIN)
    pictures = compute(None, plain, rows, 1, BATCH)[0]
    manifest = replace(
        manifest, images=ArrayImages(pictures), splits=np.zeros(len(rows), np.int8),
        ids=[manifest.ids[row] for row in rows], labels=manifest.labels[rows],
    )  # fmt: skip
    views = Views(manifest, plain.resize, None, 0, plain.workers)
    pieces = replace(subject.pieces, manifest=manifest, train_views=views, plain_views=views)
    return replace(subject, pieces=pieces)


def decode_arms(subject: Subject) -> dict[str, Work]:
    """Reading, decoding and resizing; later epochs of a stream find the pictures decoded."""
    rows, plain = rows_of_files(subject), subject.pieces.plain_views
    images = DecodedImages(subject.pieces.manifest.images, subject.pieces.budget.left)
    kept = replace(subject.pieces.manifest, images=images)
    later = Views(kept, plain.resize, None, 0, plain.workers)

    def ours(views: Views) -> Work:
        return lambda: consumed(views.dataset(rows, np.zeros(len(rows)), BATCH))

    return {
        "tl": ours(plain), "tl, later epochs": ours(later),
        "keras": lambda: consumed(plain_dataset(subject, rows)),
    }  # fmt: skip


def rows_of_files(subject: Subject) -> Any:
    """The training images, all equally often, MANY or more."""
    rows = subject.pieces.manifest.rows(TRAIN)
    return np.tile(rows, -(-MANY // len(rows)))


def forward_arms(subject: Subject) -> dict[str, Work]:
    """A frozen forward pass over pictures in memory."""
    model = subject.lesson.student.model
    batches = [tf.constant(b) for b in _batches(in_memory(subject).pieces.manifest.images.array)]

    def forward(network: Any) -> Work:
        call = tf.function(lambda images: network(images, training=False), reduce_retracing=True)
        return lambda: [call(images).numpy() for images in batches][:0]

    return {"tl": forward(fold.folded(model) or model), "keras": forward(model)}


def step_arms(subject: Subject) -> dict[str, Work]:
    """Training steps of all weights over pictures in memory."""
    held = in_memory(subject)
    pictures = held.pieces.manifest.images.array
    labels = label_table(held.pieces.manifest, np.arange(len(pictures)))
    plain = plain_keras.compiled(copied(held), 1e-4, held.pieces.manifest.multi_label)
    size = int(held.pieces.job.settings.batch_size)
    return {
        "tl": steps(replace(held, lesson=alone(held.lesson))),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def distill_arms(subject: Subject) -> dict[str, Work]:
    """Training steps that learn from a teacher: its outputs kept, online, and Keras' Distiller."""
    if subject.lesson.teacher.built is None:
        return {}
    held = in_memory(subject)
    pictures = held.pieces.manifest.images.array
    labels = label_table(held.pieces.manifest, np.arange(len(pictures)))
    plain = plain_keras.distiller(
        plain_teacher(held), copied(held), 1e-4, held.pieces.manifest.multi_label
    )
    size = int(held.pieces.job.settings.batch_size)
    settings = replace(held.pieces.job.settings, cache="off")
    pieces = replace(held.pieces, job=replace(held.pieces.job, settings=settings))
    online = Subject(pieces, replace(held.lesson, student=rebuilt(held)))
    return {
        "tl, teacher kept": steps(held),
        "tl, teacher online": steps(online),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def predict_arms(subject: Subject) -> dict[str, Work]:
    """From files to logits."""
    rows, model = rows_of_files(subject), copied(subject)
    call = classifier(subject.lesson.student.model)

    def ours() -> Any:
        iterator = iter(subject.pieces.plain_views.dataset(rows, np.zeros(len(rows)), BATCH))
        for images in iterator:
            call(images).numpy()
        return iterator

    return {
        "tl": ours,
        "keras": lambda: model.predict(plain_dataset(subject, rows), verbose=0) is None,
    }


PARTS: dict[str, Callable[[Subject], dict[str, Work]]] = {
    "decode": decode_arms, "forward": forward_arms, "step": step_arms,
    "distill": distill_arms, "predict": predict_arms,
}  # fmt: skip


def steps(subject: Subject) -> Work:
    """One epoch of the training's own steps, each time the next one."""
    pieces, lesson = subject.pieces, subject.lesson
    plan = phase_plan(pieces, lesson, phases(pieces, lesson)[-1])
    phase = PhaseTraining(pieces, lesson, plan)
    count = max(1, len(pieces.manifest.rows(TRAIN)) // plan.order.batch_size)
    at = [0]

    def work() -> None:
        phase.feed(at[0], at[0] + count)
        at[0] += count

    return work


def copied(subject: Subject) -> Any:
    """A plain Keras model of the same network and weights, built anew."""
    classes = len(subject.pieces.manifest.class_names)
    model = checkpoint.rebuild(
        subject.pieces.job.config, {}, classes, subject.lesson.student.resize
    )
    for new, old in zip(model.variables, subject.lesson.student.model.variables, strict=True):
        new.assign(old.numpy())
    return model


def rebuilt(subject: Subject) -> Any:
    """Another student, so that two trainings do not share their weights."""
    taps = subject.lesson.student.taps
    classes = len(subject.pieces.manifest.class_names)
    made = build_student(
        subject.pieces.job.backbone,
        subject.pieces.job.head,
        classes,
        subject.lesson.student.resize,
        taps,
    )
    method = subject.lesson.method
    return with_maps(made, method) if isinstance(method, SortedMaps) else made


def alone(lesson: Lesson) -> Lesson:
    """The student as it learns from labels alone."""
    method = registry.build("distillation", registry.defaults("distillation", "none"))
    return Lesson(lesson.student, method, NO_STATE, NoTeacher())


def plain_teacher(subject: Subject) -> Any:
    """The teacher as Keras loads it where that is possible; else as tl runs it, folded."""
    values = subject.pieces.job.config["teacher"]
    if values["name"] == "run":
        return checkpoint.read_run(values["path"]).model
    built: Any = subject.lesson.teacher.built
    return keras.Model(built.model.inputs, built.model.outputs[0])


def plain_dataset(subject: Subject, rows: Any) -> Any:
    """The rows' pictures by plain tf.data; from their files where they have some."""
    root, resize = Path(subject.pieces.manifest.root), subject.pieces.plain_views.resize
    paths = [str(root / str(subject.pieces.manifest.ids[row])) for row in rows]
    if all(map(os.path.isfile, paths)):
        return plain_keras.picture_dataset(paths, resize.size, BATCH)
    return plain_keras.source_dataset(subject.pieces.manifest.images, rows, resize, BATCH)


def consumed(dataset: Any) -> Any:
    """Go through a dataset; gives its iterator."""
    iterator = iter(dataset)
    for _ in iterator:
        pass
    return iterator


def _batches(array: Any) -> list[Any]:
    return [array[start : start + BATCH] for start in range(0, len(array), BATCH)]
