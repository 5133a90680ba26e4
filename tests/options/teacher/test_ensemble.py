"""Weights of an ensemble: by run, by class, measured; against sums in numpy."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tests.helpers.teachers import configure, fit
from tests.helpers.trainings import planned
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.contracts.teacher import Target
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.errors import ConfigError
from tlcli.evaluation.metrics import softmax
from tlcli.models.layers import MeanLogits, MeanProbabilities
from tlcli.options.teacher.ensemble import measured


def option(**changes):
    values = {**registry.defaults("teacher", "ensemble"), "runs": ["a", "b"]}
    return registry.build("teacher", {**values, **changes})


def test_the_mean_of_logits_weighs_each_class_of_each_run():
    logits = np.random.default_rng(0).normal(0, 2, (2, 4, 3)).astype(np.float32)
    shares = np.array([[0.25, 0.5, 0.9], [0.75, 0.5, 0.1]])
    expected = shares[0] * logits[0] + shares[1] * logits[1]
    np.testing.assert_allclose(MeanLogits(shares)(list(logits)), expected, rtol=1e-5)
    alike = MeanLogits([0.25, 0.75])(list(logits))
    np.testing.assert_allclose(alike, 0.25 * logits[0] + 0.75 * logits[1], rtol=1e-5)


def test_the_mean_of_probabilities_is_one_again_when_classes_weigh_differently():
    # (1/2, 1/2) and (1/5, 4/5) weighed (3/4, 1/4) in the first class, (1/4, 3/4) in the second:
    # 3/8 + 1/20 = 17/40 and 1/8 + 3/5 = 29/40, together 46/40.
    logits = np.log([[[0.5, 0.5]], [[0.2, 0.8]]]).astype(np.float32) + 7
    found = MeanProbabilities(np.array([[0.75, 0.25], [0.25, 0.75]]))(list(logits))
    np.testing.assert_allclose(np.exp(found), [[17 / 46, 29 / 46]], rtol=1e-5)


@pytest.fixture(scope="module")
def target():
    manifest = registry.build("data", configure()["data"]).manifest(0, None)
    views = Views(manifest, Resize(8, "crop", 1.0, True), None, 0, 1)
    return Target(manifest, 8, manifest.rows(TRAIN), views, frozenset(), None, views)


@pytest.fixture(scope="module")
def members():
    """Two linear classifiers of pixels with random weights, and these weights."""
    made, weights = [], []
    for seed in range(2):
        images = keras.Input((8, 8, 3), dtype="uint8")
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
        dense = keras.layers.Dense(5, use_bias=False)
        made.append(keras.Model(images, dense(flat)))
        kernel = np.random.default_rng(seed).normal(0, 1, (192, 5)).astype(np.float32)
        dense.kernel.assign(kernel)
        weights.append(kernel)
    return made, weights


@pytest.mark.parametrize("by_class", [False, True])
def test_weights_come_from_validation(target, members, by_class):
    rows = target.manifest.rows(VALIDATION)
    pixels = target.manifest.images.array[rows].repeat(3, axis=-1).reshape(len(rows), -1) / 255
    labels, expected = target.manifest.labels[rows], []
    for kernel in members[1]:
        right = (pixels @ kernel).argmax(-1) == labels
        parts = [labels == c for c in range(5)] if by_class else [labels >= 0]
        expected.append([(right[part].sum() + 1) / (part.sum() + 2) for part in parts])
    found = measured(members[0], target, by_class)
    np.testing.assert_allclose(found, np.squeeze(expected), rtol=1e-9)
    made = option(weights="class_accuracy" if by_class else "accuracy")
    shares = made._shares(members[0], target)
    np.testing.assert_allclose(shares, found / found.sum(0))
    assert "(validation)" in made._told(shares)


def test_what_cannot_be_measured_is_refused(target, members):
    manifest = target.manifest
    for labels, message in (
        (np.full_like(manifest.labels, -1), "no labelled validation image"),
        (np.eye(5, dtype=np.uint8)[manifest.labels], "several labels an image"),
    ):
        from dataclasses import replace

        bare = replace(target, manifest=replace(manifest, labels=labels))
        with pytest.raises(ConfigError, match=f"teacher.weights: there is {message}.*Give numbers"):
            measured(members[0], bare, True)


def test_weights_of_some_classes_leave_the_others_alike():
    two = SimpleNamespace(manifest=SimpleNamespace(class_names=("cat", "dog", "7")))
    shares = option(weights={"dog": [3, 1], 7: [1, 4]})._shares([None, None], two)
    np.testing.assert_allclose(shares, [[0.5, 0.75, 0.2], [0.5, 0.25, 0.8]])
    with pytest.raises(ConfigError, match=r"teacher.weights.dogs: .*Did you mean dog\?"):
        option(weights={"dogs": [3, 1]})._shares([None, None], two)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], r"teacher.weights: got \(1.0, 2.0, 3.0\). Give one number above 0 a run"),
        ([1, 0], r"teacher.weights: got \(1.0, 0.0\)"),
        ({"dog": [1]}, r"teacher.weights.dog: got \(1.0,\)"),
        ("best", "teacher.weights: got 'best'"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(ConfigError, match=message):
        option(weights=weights)


@pytest.mark.slow
def test_a_student_learns_from_a_mean_by_class(teacher, tmp_path):
    cache = f"cache_dir={teacher.parent}/cache"
    other = fit(tmp_path / "other", "epochs=2", "finetune=linear_probe", cache, "seed=3")
    words = [
        "teacher=ensemble", f"teacher.runs=[{teacher},{other}]", "distillation=kd", cache,
        "teacher.weights={5:[1,9],8:[2,1]}", "data.images_per_class=8", "hardware=cpu",
    ]  # fmt: skip
    plan = planned(train_job(configure(*words)))
    rows = plan.pieces.manifest.rows(VALIDATION)[:7]
    said = [p for path in (teacher, other) for p in [spoken(path, plan.pieces, rows)]]
    shares = np.array([[0.1, 0.5, 0.5, 2 / 3, 0.5], [0.9, 0.5, 0.5, 1 / 3, 0.5]])
    mean = (shares[:, None] * said).sum(0)
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows)
    np.testing.assert_allclose(softmax(found), mean / mean.sum(-1, keepdims=True), atol=1e-5)
    assert "weights by class 0.10 to 0.90" in "\n".join(
        note.plain for note in plan.lesson.teacher.plan_notes()
    )


def spoken(path, pieces, rows):
    from tlcli.runs import checkpoint

    images = next(pieces.plain_views.batches(rows, np.zeros(len(rows)), len(rows)))
    return softmax(checkpoint.read_run(path).model(images, training=False).numpy())
