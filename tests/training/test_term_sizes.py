"""Sizes of the loss terms on the first batch, and that measuring them changes nothing."""

import numpy as np
import pytest
import tensorflow as tf

from tlcli.config import compose
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.training.build import pieces_of
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import Size, first_batch, looked_at, notes, plan_lines, term_sizes


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Pieces and lesson of a training by tf_kd, which needs no teacher."""
    words = ["hardware=cpu", "batch_size=16", "data.images_per_class=16", "epochs=1",
             "finetune=full", "backbone.weights=none", "distillation=tf_kd",
             "loss.label_smoothing=0.0", "head.zero_init=false",
             f"cache_dir={tmp_path_factory.mktemp('cache')}"]  # fmt: skip
    pieces = pieces_of(train_job(compose.plain(compose.read("train", words))))
    return pieces, attach(pieces)


def test_terms_of_the_first_batch_change_no_variable(training):
    pieces, lesson = training
    phase = phases(pieces, lesson)[0]
    before = [v.numpy() for v in lesson.variables]
    first, again = term_sizes(pieces, lesson, phase), term_sizes(pieces, lesson, phase)
    for variable, value in zip(lesson.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, variable.path)
    assert first == again
    assert [s.name for s in first] == ["labels", "tf_kd"]


def test_terms_are_those_of_the_label_loss_and_the_method(training):
    pieces, lesson = training
    model = lesson.student.model
    sizes = {s.name: s for s in term_sizes(pieces, lesson, phases(pieces, lesson)[0])}
    before = [v.numpy() for v in model.variables]
    batch = first_batch(pieces)
    with tf.GradientTape() as tape:
        logits = model(batch["images"], training=True)
        picked = -tf.reduce_sum(batch["labels"] * tf.nn.log_softmax(logits), -1)
        loss = lesson.method.hard_weight * tf.reduce_mean(picked)
    values = [v.value for v in model.trainable_variables]
    found = tape.gradient(loss, values)
    norm = np.sqrt(sum(np.square(g.numpy().astype("float64")).sum() for g in found))
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    assert sizes["labels"].loss == pytest.approx(float(loss), rel=1e-5)
    assert sizes["labels"].gradient == pytest.approx(norm, rel=1e-4)
    assert sizes["tf_kd"].loss > 0


def test_terms_far_from_the_labels_are_noted():
    sizes = [Size("labels", 1.0, 2.0), Size("kd", 1.0, 1.0), Size("at", 1e-5, 1e-3),
             Size("sp", 1e4, 500.0)]  # fmt: skip
    weak, strong = notes(sizes)
    assert "at hardly counts: 0.0005 x" in weak
    assert "sp drowns the labels: 2.5e+02 x" in strong
    assert notes(sizes[1:]) == []
    (still,) = notes([sizes[0], Size("sp", 1.0, 0.0)])
    assert "sp moves nothing" in still


def test_a_training_shows_them_in_its_plan(training):
    lines = plan_lines(looked_at(*training, phases(*training)[0]))
    assert lines[0].startswith("terms      first batch, full weight: labels ")
    assert "tf_kd" in lines[0]
