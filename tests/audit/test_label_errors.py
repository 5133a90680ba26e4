import numpy as np
import pytest

from tlcli.audit import label_errors as judged


def clouds(seed=0, each=60, classes=3):
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = 4 * np.eye(classes, 8)
    return centres[labels] + random.normal(size=(len(labels), 8)), labels


def test_wrong_labels_are_found_with_the_right_class():
    points, labels = clouds()
    given = labels.copy()
    given[[0, 70, 130]] = [1, 2, 0]
    found = judged.label_errors(points, given, 3, 0)
    assert {0, 70, 130} <= {*np.flatnonzero(found.found)}
    assert found.found.sum() <= 5
    assert found.guesses[[0, 70, 130]].tolist() == [0, 1, 2]
    assert found.scores[[0, 70, 130]].min() > np.quantile(found.scores, 0.95)
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1


def test_the_discriminant_by_hand():
    # Means -1 and 1, within-class variance 1 (four squares of 1/2 over two degrees of freedom is
    # 2 * 4 * 0.25 / 2 = 1): with one channel shrinking towards the trace changes nothing, so the
    # weights are the means and the biases log(1/2) - 1/2.
    half = np.sqrt(0.5)
    points = np.array([[-1 - half], [-1 + half], [1 - half], [1 + half]])
    weights, biases = judged.discriminant(points, np.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(weights, [[-1, 1]], atol=1e-12)
    np.testing.assert_allclose(biases, [np.log(0.5) - 0.5] * 2, atol=1e-12)


def test_confident_learning_by_hand():
    # Own pictures give class 0 a mean of 0.7 and class 1 one of 0.6: the second picture, labelled
    # 0, reaches the limit of class 1 alone; the last reaches none.
    shares = np.array([[0.9, 0.1], [0.5, 0.65], [0.7, 0.3], [0.4, 0.6], [0.45, 0.55]])
    labels = np.array([0, 0, 0, 1, -1])
    limits = judged.limits_of(shares[np.arange(5), labels], labels, 2)
    np.testing.assert_allclose(limits, [0.7, 0.6])
    assert judged.confident(shares, limits).tolist() == [0, 1, 0, 1, -1]


def test_the_temperature_makes_the_labels_most_probable():
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(4), 4000)
    labels = (shares.cumsum(1) < random.random((4000, 1))).sum(1)
    assert judged.temperature(5 * np.log(shares), labels) == pytest.approx(5, rel=0.15)


def test_nothing_is_said_against_labels_of_few_pictures_and_of_none():
    points, labels = clouds(each=20)
    labels[:2] = [-1, 3]  # without a label, and the only one of its class
    found = judged.label_errors(points, labels, 4, 0)
    assert found.scores[:2].tolist() == [0, 0]
    assert not found.found[:2].any()
    assert found.guesses[0] == 0
    assert np.isfinite(found.shares(np.arange(len(labels)))).all()


def test_folds_hold_every_class_and_depend_on_the_seed_alone():
    labels = np.repeat([0, 1, -1], [10, 5, 3])
    one, same, other = (judged.dealt(labels, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert (one[labels < 0] == -1).all()
    assert {*one[labels == 1].tolist()} == {0, 1, 2, 3, 4}
    assert np.bincount(one[labels == 0]).tolist() == [2] * 5


def test_channels_that_do_not_vary_do_no_harm():
    points, labels = clouds()
    padded = np.concatenate([points, np.zeros((len(points), 2))], 1).astype(np.float32)
    found = judged.label_errors(padded, labels, 3, 0)
    assert (found.guesses == labels).mean() > 0.95


def test_blocks_hold_few_numbers_and_change_no_answer(monkeypatch):
    points, labels = clouds(classes=5)
    labels[::7] = (labels[::7] + 1) % 5
    labels[3] = -1
    held = []
    # The temperature is chosen by the same pictures.
    monkeypatch.setattr(judged, "MOST", 60)
    whole = judged.label_errors(points, labels, 5, 0)
    monkeypatch.setattr(judged, "NUMBERS", 300)
    softmax = judged.softmax
    monkeypatch.setattr(judged, "softmax", lambda one: (held.append(one.size), softmax(one))[1])
    by_block = judged.label_errors(points, labels, 5, 0)
    assert max(held) <= 300
    assert len(held) >= len(labels) * 5 / 300
    np.testing.assert_array_equal(by_block.guesses, whole.guesses)
    np.testing.assert_array_equal(by_block.found, whole.found)
    np.testing.assert_allclose(by_block.scores, whole.scores, atol=1e-5)
    assert whole.found.sum() >= 8


def test_an_answer_is_by_the_discriminant_that_never_saw_the_picture():
    points, labels = clouds(each=10)
    points = judged.standardised(points).astype(np.float32)
    probe, folds = judged.Probe(points, labels, 3, 1), judged.dealt(labels, 1)
    for row in (0, 11, 29):
        others = folds != folds[row]
        weights, biases = judged.discriminant(points[others], labels[others], 3)
        np.testing.assert_allclose(
            probe.logits([row])[0], points[row] @ weights + biases, rtol=1e-4
        )
