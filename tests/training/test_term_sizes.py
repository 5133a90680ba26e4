"""Sizes of the loss terms on the first batch, and that measuring them changes nothing."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.words import checked
from tlcli.contracts.finetune import Phase
from tlcli.distill.attach import attach
from tlcli.training.build import pieces_of
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import Size, first_batches, notes, plan_notes, term_sizes


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Pieces and lesson of tf_kd, which needs no teacher."""
    words = ["hardware=cpu", "batch_size=16", "data.images_per_class=16", "epochs=1",
             "finetune=full", "backbone.weights=none", "distillation=tf_kd",
             "loss.label_smoothing=0.0", "head.zero_init=false",
             f"cache_dir={tmp_path_factory.mktemp('cache')}"]  # fmt: skip
    pieces = pieces_of(checked("train", *words).job)
    return pieces, attach(pieces)


def test_terms_of_the_first_batch_change_no_variable(parts):
    model, phase = parts[1].student.model, phases(*parts)[0]
    before = [v.numpy() for v in model.variables]
    first, again = term_sizes(*parts, phase), term_sizes(*parts, phase)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, variable.path)
    assert first == again
    assert [s.name for s in first] == ["labels", "tf_kd"]


def test_terms_are_those_of_the_label_loss_and_the_method(parts):
    pieces, lesson = parts
    model = lesson.student.model
    # Without the head, which would be fitted first.
    rates = {n: r for n, r in phases(*parts)[0].rates.items() if not n.startswith("head_")}
    sizes = {s.name: s for s in term_sizes(pieces, lesson, Phase("body", 1.0, rates))}
    before = [v.numpy() for v in model.variables]
    batch = first_batches(pieces, 1)[0]
    with tf.GradientTape() as tape:
        logits = model(batch["images"], training=True)
        picked = -tf.reduce_sum(batch["labels"] * tf.nn.log_softmax(logits), -1)
        loss = lesson.method.hard_weight * tf.reduce_mean(picked)
    values = [v.value for v in model.trainable_variables if v.path.split("/")[0] in rates]
    found = tape.gradient(loss, values)
    norm = np.sqrt(sum(np.square(g.numpy().astype("float64")).sum() for g in found))
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    assert sizes["labels"].loss == pytest.approx(float(loss), rel=1e-5)
    assert sizes["labels"].gradient == pytest.approx(norm, rel=1e-4)
    assert sizes["tf_kd"].loss > 0


def test_a_head_of_zeros_is_fitted_first():
    words = ["hardware=cpu", "batch_size=16", "finetune=full", "distillation=tf_kd"]
    pieces = pieces_of(checked("train", *words).job)
    lesson = attach(pieces)
    labels = term_sizes(pieces, lesson, phases(pieces, lesson)[0])[0]
    # Labels say log 5 of five classes to zeros, and move nothing below them.
    assert labels.loss < 0.9 * 0.8 * np.log(5)
    assert labels.gradient > 0


def test_terms_far_from_their_share_are_noted():
    sizes = [Size("labels", 1.0, 2.0), Size("kd", 1.0, 1.0, 1.0), Size("at", 1e-5, 1e-3, 0.1),
             Size("sp", 1e4, 0.5, 0.1), Size("cc", 1.0, 0.3, 0.1)]  # fmt: skip
    weak, strong = notes(sizes)
    assert "at hardly counts: 0.0005 x" in weak
    assert "sp drowns the labels: 0.25 x" in strong
    assert notes(sizes[1:]) == []
    (still,) = notes([sizes[0], Size("sp", 1.0, 0.0, 0.1)])
    assert "sp moves nothing" in still


def test_a_training_shows_them_in_its_plan(parts):
    found = plan_notes(term_sizes(*parts, phases(*parts)[0]))
    assert found[0].plain.startswith("terms      first batch, fitted head, full weight: labels ")
    assert "tf_kd" in found[0].text
