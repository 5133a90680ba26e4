"""The arms of `tl bench`: each part of the work by `tl` and by plain Keras."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.commands import plain_keras
from tlcli.config import registry
from tlcli.contracts.data import TRAIN
from tlcli.data.arrays import ArrayImages
from tlcli.data.decoded import DecodedImages
from tlcli.data.labels import label_table
from tlcli.data.views import Views
from tlcli.distill.pieces import Run
from tlcli.evaluation.classifier import classifier
from tlcli.models import fold
from tlcli.models.frozen.network import compute
from tlcli.models.frozen.place import free_memory
from tlcli.models.student import build_student
from tlcli.runs import checkpoint
from tlcli.training.phase import PhaseTrainer
from tlcli.training.strategy import phases

BATCH = 32


# Pictures that a round reads from files at least, again and again if they are fewer: TensorFlow
# needs a few hundred to learn what the small operations of a pipeline cost.
MANY = 512


# Does the work once; gives what is still to be let go of (an iterator), or None.
Work = Callable[[], Any]


def in_memory(run: Run) -> Run:
    """The same over pictures that are decoded and resized already."""
    rows = run.manifest.rows(TRAIN)
    pictures = compute(None, run.plain_views, rows, 1, BATCH)[0]
    manifest = replace(
        run.manifest, images=ArrayImages(pictures), splits=np.zeros(len(rows), np.int8),
        ids=[run.manifest.ids[row] for row in rows], labels=run.manifest.labels[rows],
    )  # fmt: skip
    views = Views(manifest, run.plain_views.resize, None, 0, run.plain_views.workers)
    return replace(run, manifest=manifest, train_views=views, plain_views=views)


def decode_arms(run: Run) -> dict[str, Work]:
    """Reading, decoding and resizing; later epochs of a stream find the pictures decoded."""
    rows, plain = rows_of_files(run), run.plain_views
    room = int(run.job.settings.cache_memory * free_memory())
    kept = replace(run.manifest, images=DecodedImages(run.manifest.images, room))
    later = Views(kept, plain.resize, None, 0, plain.workers)

    def ours(views: Views) -> Work:
        return lambda: consumed(views.dataset(rows, np.zeros(len(rows)), BATCH))

    return {
        "tl": ours(plain), "tl, later epochs": ours(later),
        "keras": lambda: consumed(plain_dataset(run, rows)),
    }  # fmt: skip


def rows_of_files(run: Run) -> Any:
    """The training images, all equally often, MANY or more."""
    rows = run.manifest.rows(TRAIN)
    return np.tile(rows, -(-MANY // len(rows)))


def forward_arms(run: Run) -> dict[str, Work]:
    """A frozen forward pass over pictures in memory."""
    model = run.student.model
    batches = [tf.constant(b) for b in _batches(in_memory(run).manifest.images.array)]

    def forward(network: Any) -> Work:
        call = tf.function(lambda images: network(images, training=False), reduce_retracing=True)
        return lambda: [call(images).numpy() for images in batches][:0]

    return {"tl": forward(fold.folded(model) or model), "keras": forward(model)}


def step_arms(run: Run) -> dict[str, Work]:
    """Training steps of all weights over pictures in memory."""
    held = in_memory(run)
    pictures = held.manifest.images.array
    labels = label_table(held.manifest, np.arange(len(pictures)))
    plain = plain_keras.compiled(copied(held), 1e-4, held.manifest.multi_label)
    size = int(held.job.settings.batch_size)
    return {
        "tl": steps(replace(held, teacher=None, method=none_method(), method_state=None)),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def distill_arms(run: Run) -> dict[str, Work]:
    """Training steps that learn from a teacher: its outputs kept, online, and Keras' Distiller."""
    if run.teacher is None:
        return {}
    held = in_memory(run)
    pictures = held.manifest.images.array
    labels = label_table(held.manifest, np.arange(len(pictures)))
    plain = plain_keras.distiller(
        plain_teacher(held), copied(held), 1e-4, held.manifest.multi_label
    )
    size = int(held.job.settings.batch_size)
    settings = replace(held.job.settings, cache="off")
    online = replace(held, job=replace(held.job, settings=settings), student=rebuilt(held))
    return {
        "tl, teacher kept": steps(held),
        "tl, teacher online": steps(online),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def predict_arms(run: Run) -> dict[str, Work]:
    """From files to logits."""
    rows, model = rows_of_files(run), copied(run)
    call = classifier(run.student.model)

    def ours() -> Any:
        iterator = iter(run.plain_views.dataset(rows, np.zeros(len(rows)), BATCH))
        for images in iterator:
            call(images).numpy()
        return iterator

    return {
        "tl": ours,
        "keras": lambda: model.predict(plain_dataset(run, rows), verbose=0) is None,
    }


PARTS: dict[str, Callable[[Run], dict[str, Work]]] = {
    "decode": decode_arms, "forward": forward_arms, "step": step_arms,
    "distill": distill_arms, "predict": predict_arms,
}  # fmt: skip


def steps(run: Run) -> Work:
    """One epoch of the run's own training loop, each time the next one."""
    trainer = PhaseTrainer(run, phases(run)[-1], 0, 0)
    count = max(1, len(run.manifest.rows(TRAIN)) // trainer.order.batch_size)
    at = [0]

    def work() -> None:
        trainer.feed(at[0], at[0] + count)
        at[0] += count

    return work


def copied(run: Run) -> Any:
    """A plain Keras model of the same network and weights, built anew."""
    classes = len(run.manifest.class_names)
    model = checkpoint.rebuild(run.job.config, {}, classes, run.student.resize)
    for new, old in zip(model.variables, run.student.model.variables, strict=True):
        new.assign(old.numpy())
    return model


def rebuilt(run: Run) -> Any:
    """Another student, so that two trainings do not share their weights."""
    taps = run.student.taps
    classes = len(run.manifest.class_names)
    return build_student(run.job.backbone, run.job.head, classes, run.student.resize, taps)


def none_method() -> Any:
    """The method that learns from labels alone."""
    return registry.build("distillation", registry.defaults("distillation", "none"))


def plain_teacher(run: Run) -> Any:
    """The teacher as Keras loads it where that is possible; else as tl runs it, folded."""
    values = run.job.config["teacher"]
    if values["name"] == "run":
        return checkpoint.read_run(values["path"]).model
    built = run.teacher.built.model
    return keras.Model(built.inputs, built.outputs[0])


def plain_dataset(run: Run, rows: Any) -> Any:
    """The rows' pictures by plain tf.data; from their files where they have some."""
    root, resize = Path(run.manifest.root), run.plain_views.resize
    paths = [str(root / str(run.manifest.ids[row])) for row in rows]
    if all(map(os.path.isfile, paths)):
        return plain_keras.picture_dataset(paths, resize.size, BATCH)
    return plain_keras.source_dataset(run.manifest.images, rows, resize, BATCH)


def consumed(dataset: Any) -> Any:
    """Go through a dataset; gives its iterator."""
    iterator = iter(dataset)
    for _ in iterator:
        pass
    return iterator


def _batches(array: Any) -> list[Any]:
    return [array[start : start + BATCH] for start in range(0, len(array), BATCH)]
