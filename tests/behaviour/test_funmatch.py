"""The recipe `funmatch`: one view, mixed once, for teacher and student; labels unused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.trainings import phase_of, planned, streams
from tests.helpers.words import config
from tlcli.commands import train
from tlcli.config.checking import check
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.runs import checkpoint
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of

WORDS = (
    "config=funmatch", "batch_size=16", "data.images_per_class=8", "epochs=2", "validate_every=1",
    "augmentation.horizontal_flip=0", "calibrate=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def taught(digits_run):
    """A function of words that gives a training's configuration."""
    return lambda *words: config("train", *WORDS, f"teacher.path={digits_run}", *words)


def test_teacher_and_student_see_the_identical_mixed_pixels(taught):
    trainer = phase_of(planned(train_job(taught())))
    step, built = trainer.step, trainer.lesson.teacher.built
    network, teacher = step.parts.suffix, built.model
    seen = {"student": [], "teacher": []}

    def record(who, images):
        tf.py_function(lambda t: seen[who].append(t.numpy()), [images], [])

    class Watched:
        inputs, losses = network.inputs, ()

        def __call__(self, images, training):
            record("student", images)
            return network(images, training=training)

    def watched(images, training):
        record("teacher", images)
        return teacher(images, training=training)

    step.parts = dataclasses.replace(step.parts, suffix=Watched())
    built.model = watched
    trainer.feed(0, 2)
    assert streams(trainer)
    assert len(seen["student"]) == len(seen["teacher"]) == 2
    for ours, theirs in zip(seen["student"], seen["teacher"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        # Mixed pixels are no whole numbers; a picture decoded anew would have whole ones.
        assert (ours % 1 != 0).mean() > 0.05
    assert not np.array_equal(*seen["student"])


@pytest.mark.slow
def test_labels_change_nothing(taught):
    found = []
    for shift in (0, 1):
        pieces = pieces_of(train_job(taught()))
        lesson = attach(pieces)
        labels = (pieces.manifest.labels + shift) % 5
        other = pieces.with_data(dataclasses.replace(pieces.manifest, labels=labels))
        phase_of(plans.made(other, lesson)).feed(0, 2)
        found.append([v.numpy() for v in lesson.student.model.variables])
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_it_trains_a_student_that_stands_alone(taught, tmp_path):
    run_dir = tmp_path / "run"
    given = {**taught("backbone.output_layer=tiny_block3"), "run_dir": str(run_dir)}
    assert train.run(check("train", given)) == 0
    found = checkpoint.read_run(run_dir)
    assert found.facts.fidelity["agreement"] > 0
    assert found.config["distillation"]["hard_weight"] == 0
