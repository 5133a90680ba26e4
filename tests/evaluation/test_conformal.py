"""Sets hold the right class as often as asked, and are those of a slow implementation."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from tlcli.evaluation.conformal import (
    FREE,
    PENALTY,
    Sets,
    by_class,
    figures,
    fitted,
    quantile,
    scores,
    told,
    with_own,
)
from tlcli.evaluation.metrics import softmax


def drawn(seed, images, classes=8):
    """Probabilities that are too sure, and labels."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (images, classes))
    labels = (softmax(logits).cumsum(-1) < random.random((images, 1))).sum(-1)
    return softmax(2 * logits), labels.clip(0, classes - 1)


def slow_scores(row):
    """Scores of one image, class by class."""
    found = []
    for own, share in enumerate(row):
        before = [s for k, s in enumerate(row) if s > share or (s == share and k < own)]
        rank = len(before) + 1
        found.append(sum(before) + share / 2 + PENALTY * max(0, rank - FREE))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_sets_are_those_of_a_slow_implementation(seed):
    shares, labels = drawn(seed, 60)
    shares[5] = 1 / 8  # ties
    slow = [slow_scores(row) for row in shares]
    np.testing.assert_allclose(scores(shares), slow)
    sets = fitted(shares, labels, 0.9)
    own = sorted(row[label] for row, label in zip(slow, labels, strict=True))
    least = own[math.ceil(61 * 0.9) - 1]
    new, _ = drawn(seed + 50, 40)
    for row, held in zip(new, sets.members(new), strict=True):
        wanted = {k for k, score in enumerate(slow_scores(row)) if score <= least}
        assert set(np.flatnonzero(held)) == wanted | {int(row.argmax())}


def test_scores_by_hand():
    # In order 0.5, 0.3, 0.2: 0.25, then 0.5 + 0.15, then 0.8 + 0.1.
    np.testing.assert_allclose(scores(np.array([[0.3, 0.5, 0.2]])), [[0.65, 0.25, 0.9]])
    # The penalty begins behind the free ranks.
    np.testing.assert_allclose(scores(np.array([[0.5, 0.5]]), 1.0, 1), [[0.25, 1.75]])


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_of_20_random_splits_lies_in_its_binomial_band(coverage):
    hits = total = 0
    for seed in range(20):
        shares, labels = drawn(seed, 1500)
        sets = fitted(shares[:500], labels[:500], coverage)
        held = sets.members(shares[500:])[np.arange(1000), labels[500:]]
        # One split: that of its images, and that of the 500 it was fitted to.
        assert abs(held.mean() - coverage) < 4 * math.sqrt(coverage * (1 - coverage) * 3 / 1000)
        hits, total = hits + held.sum(), total + 1000
    # All splits together: never below, and above by what the quantile is rounded and the likeliest
    # class brings.
    low, high = binom.interval(0.999, total // 3, coverage)
    assert low / (total // 3) <= hits / total <= high / (total // 3) + 0.02


def test_classes_of_images_enough_are_covered_alike():
    """A class that the network is slow to name is covered too rarely by a common threshold."""
    least = []
    for sets_of in (lambda s, y: fitted(s, y, 0.8), common):
        found = []
        for seed in range(10):
            shares, labels = drawn(seed, 3000)
            shares[:, 0] *= 0.3
            shares /= shares.sum(-1, keepdims=True)
            judged = sets_of(shares[:1500], labels[:1500]).judged(shares[1500:], labels[1500:])
            found.append(by_class(*judged, labels[1500:], tuple("abcdefgh"))["a"]["coverage"])
        least.append(np.mean(found))
    assert least[1] < 0.7 < 0.78 < least[0] < 0.82


def common(shares, labels):
    own = scores(shares)[np.arange(len(labels)), labels]
    return Sets(0.8, PENALTY, FREE, (quantile(own, 0.8),) * 8, (False,) * 8)


def test_which_classes_have_a_threshold_of_their_own():
    # At 0.9 it takes 50 images; at 0.5, ten.
    assert with_own(np.array([50, 49, 60]), 0.9).tolist() == [False, False, True]
    assert with_own(np.array([10, 20, 0, 15]), 0.5).tolist() == [False, True, False, True]
    assert with_own(np.array([60, 50]), 0.9).tolist() == [True, True]
    # The 20 alone are too few to share one, so the smallest class joins them.
    assert with_own(np.array([20, 300, 70]), 0.9).tolist() == [False, True, False]


def test_too_few_images_make_sets_of_all_classes():
    # ceil(1 / 0.1) - 1 = 9 images are the fewest.
    assert quantile(np.arange(9), 0.9) == 8
    assert quantile(np.arange(8), 0.9) is None
    shares, labels = drawn(0, 8)
    sets = fitted(shares, labels, 0.9)
    assert sets.members(shares).all()
    assert "every set holds all classes" in told(sets)
    assert "too few" not in told(fitted(*drawn(0, 9), 0.9))
    assert "8 of 8 classes have a threshold of their own" in told(fitted(*drawn(0, 5000), 0.8))


def test_a_set_is_never_empty():
    sets = Sets(0.5, 0.0, 1, (0.1, 0.1), (False, False))
    assert sets.members(np.array([[0.9, 0.1], [0.5, 0.5]])).tolist() == [[True, False]] * 2


def test_the_last_bits_of_equal_probabilities_decide_nothing():
    shares = np.full((20, 5), 0.2)
    sets = fitted(shares, np.repeat(np.arange(5), 4), 0.9)
    assert sets.members(shares).all()
    assert sets.members(shares.astype(np.float32).astype(float)).all()


def test_figures_by_hand():
    # Sets (a), (a, b), (b) and (a).
    held, sizes = np.array([True, True, False, True]), np.array([1, 2, 1, 1])
    labels = np.array([0, 1, 0, 0])
    found = figures(held, sizes)
    assert (found["coverage"], found["set_size"]) == (0.75, 1.25)
    assert found["coverage_low"] < 0.75 < found["coverage_high"]
    # Sizes 1, 2, 1, 1: deviation 0.5, of the mean 0.25.
    assert found["set_size_high"] - 1.25 == pytest.approx(1.96 * 0.25, abs=1e-3)
    parts = by_class(held, sizes, labels, ("a", "b", "c"))
    assert parts.keys() == {"a", "b"}
    assert parts["a"]["coverage"] == pytest.approx(2 / 3)
    assert (parts["b"]["samples"], parts["b"]["set_size"]) == (1, 2)


def test_what_is_written_gives_the_sets_back():
    sets = fitted(*drawn(0, 8), 0.9)
    assert Sets.of(sets.as_json()) == sets
    assert sets.as_json()["thresholds"] == [None] * 8
