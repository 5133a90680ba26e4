import warnings

import numpy as np
import pytest

from tlcli.evaluation.metrics import (
    MultiLabelScores,
    Scores,
    balanced_accuracy,
    binary_cross_entropy,
    cross_entropy,
    mean_average_precision,
    sigmoid,
    softmax,
)


def logits_of(probabilities):
    return np.log(np.asarray(probabilities, float))


def scores_of(probabilities, labels):
    scores = Scores(np.shape(probabilities)[1])
    scores.update(logits_of(probabilities), np.asarray(labels))
    return scores


def test_figures_by_hand():
    # Guesses 0, 0, 1, 2 for labels 0, 1, 1, 1.
    scores = scores_of(
        [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]], [0, 1, 1, 1]
    )
    found = scores.result()
    assert found["accuracy"] == 2 / 4
    # F1: class 0 2*1/(1+2), class 1 2*1/(3+1), class 2 0/(0+1).
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 3) / 2)  # class 2 never occurs
    assert found["loss"] == pytest.approx(-np.mean(np.log([0.8, 0.3, 0.7, 0.1])))
    # Confidences 0.8, 0.6, 0.7, 0.8; those of 0.8 share a bin: |1.6 - 1| + |0.6 - 0| + |0.7 - 1|.
    assert found["ece"] == pytest.approx((0.6 + 0.6 + 0.3) / 4)
    assert found["top5_accuracy"] == 1
    np.testing.assert_allclose(scores.per_class(), [1, 1 / 3, np.nan])


def test_top_five_against_brute_force():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(200, 12)), random.integers(0, 12, 200)
    scores = Scores(12)
    for start in range(0, 200, 64):
        scores.update(logits[start : start + 64], labels[start : start + 64])
    expected = np.mean([
        (logits[i] > logits[i, labels[i]]).sum() < 5 for i in range(200)
    ])  # fmt: skip
    assert scores.result()["top5_accuracy"] == pytest.approx(expected)
    assert scores.result()["samples"] == 200


def test_equal_logits_count_for_the_lower_class():
    assert scores_of([[0.5, 0.5]], [0]).result()["accuracy"] == 1
    assert scores_of([[0.5, 0.5]], [1]).result()["accuracy"] == 0


def test_large_logits_do_not_overflow():
    logits = np.array([[3e4, -3e4]], np.float32)
    np.testing.assert_allclose(cross_entropy(logits, np.array([1])), [6e4])
    np.testing.assert_allclose(softmax(logits), [[1, 0]])
    np.testing.assert_allclose(sigmoid(logits), [[1, 0]])
    np.testing.assert_allclose(binary_cross_entropy(logits, np.array([[0, 1]])), [6e4], rtol=1e-6)


def average_precision(scores, labels):
    """The definition, sample by sample."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    hits, found = 0, []
    for rank, index in enumerate(order, 1):
        if labels[index]:
            hits += 1
            found.append(hits / rank)
    return sum(found) / len(found)


def test_mean_average_precision_against_its_definition():
    random = np.random.default_rng(1)
    scores, labels = random.normal(size=(60, 4)), random.random((60, 4)) < 0.3
    labels[:, 3] = False  # a class that never occurs does not count
    expected = np.mean([average_precision(scores[:, c], labels[:, c]) for c in range(3)])
    assert mean_average_precision(scores, labels) == pytest.approx(expected)


def test_mean_average_precision_by_hand():
    # Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
    found = mean_average_precision(np.array([[3.0], [2], [1]]), np.array([[1], [0], [1]]))
    assert found == pytest.approx((1 + 2 / 3) / 2)


def test_multi_label_figures_by_hand():
    scores = MultiLabelScores(2)
    # Decisions (1,0), (1,1), (0,1) for labels (1,0), (0,1), (1,1).
    scores.update(np.array([[2.0, -2], [1, 3]]), np.array([[1, 0], [0, 1]]))
    scores.update(np.array([[-1.0, 1]]), np.array([[1, 1]]))
    found = scores.result()
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["subset_accuracy"] == pytest.approx(1 / 3)
    # Class 0: one right of two guessed and two real; class 1: all right.
    np.testing.assert_allclose(scores.per_class(), [0.5, 1])
    assert found["macro_f1"] == pytest.approx(0.75)
    # Class 0: true rate 1/2, true negatives 0; class 1: 1 and 1.
    assert found["balanced_accuracy"] == pytest.approx((0.25 + 1) / 2)
    assert found["samples"] == 3


def test_balanced_accuracy_leaves_out_the_side_that_a_class_lacks():
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], bool)
    # Everything right: neither the class without positives nor that without negatives counts half.
    assert balanced_accuracy(labels, labels) == 1.0
    guesses = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 1]], bool)
    # First class 1/2 and 0, second 2/3 of the negatives, third 2/3 of the positives.
    assert balanced_accuracy(guesses, labels) == pytest.approx((0.25 + 2 / 3 + 2 / 3) / 3)


def test_balanced_accuracy_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    labels = random.random((40, 5)) < [0.0, 0.1, 0.5, 0.9, 1.0]
    guesses = random.random((40, 5)) < 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = [
            metrics.balanced_accuracy_score(y, g) for y, g in zip(labels.T, guesses.T, strict=True)
        ]
    assert balanced_accuracy(guesses, labels) == pytest.approx(np.mean(each))
