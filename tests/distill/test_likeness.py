"""What a student shares with its teacher, against closed forms and numpy."""

import keras
import numpy as np
import pytest

from tlcli.distill import likeness


def gram_cka(x, y):
    """CKA by Gram matrices of images, the other form of equation 4 of the paper."""
    n = len(x)
    centre = np.eye(n) - np.ones((n, n)) / n
    k, m = centre @ (x @ x.T) @ centre, centre @ (y @ y.T) @ centre
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def test_cka_equals_the_form_with_gram_matrices():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(40, 7)), rng.normal(size=(40, 5))
    y = x @ rng.normal(size=(7, 5)) + 0.5 * noise
    assert likeness.linear_cka(x, y) == pytest.approx(gram_cka(x, y), rel=1e-9)
    assert 0.3 < likeness.linear_cka(x, y) < 1


def test_cka_ignores_rotation_offset_and_scale_and_nothing_else():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 6))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert likeness.linear_cka(x, 3 * x @ rotation + 2) == pytest.approx(1)
    assert likeness.linear_cka(x, x * [1, 1, 1, 1, 1, 20]) < 0.9
    assert likeness.linear_cka(x, np.ones((30, 2))) == 0


def test_class_changes_are_differences_of_accuracy():
    labels = np.array([0, 0, 1, 1, 1, 1])
    teacher, student = np.eye(3)[[0, 0, 1, 1, 1, 0]], np.eye(3)[[0, 2, 1, 1, 1, 1]]
    found = likeness.class_changes(teacher, student, labels, ("a", "b", "never"))
    assert found == {"a": -0.5, "b": 0.25}


def test_costs_of_a_small_model():
    images = keras.Input((8, 8, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(images)
    model = keras.Model(images, keras.layers.Dense(4)(keras.layers.Flatten()(scaled)))
    found = likeness.costs("student", model)
    assert found["student_bytes"] == 4 * found["student_parameters"] == 4 * (192 * 4 + 4)
    assert 0 < found["student_latency_ms"] < 1000


def test_lines_name_the_classes_that_changed_most():
    found = {"class_change": {"a": -0.5, "b": 0.25, "c": 0.0}, "stage_cka": [{"cka": 0.5}]}
    first, second = likeness.lines(found)
    assert first.strip() == "against its teacher: loses a -0.50; gains b +0.25"
    assert second.strip() == "CKA of stages, shallow to deep: 0.50"
    assert likeness.lines({"class_change": {"a": 0.0}}) == []
