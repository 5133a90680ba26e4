"""Whether one classifier is better: p values and ends held to SciPy and to cases worked by hand."""

import numpy as np
import pytest
from scipy import stats

from tlcli.evaluation import significance


def answers(only_first, only_second, both=5):
    first = [True] * (only_first + both) + [False] * only_second
    second = [False] * only_first + [True] * (both + only_second)
    return np.array(first), np.array(second)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (5, 0), (1, 8), (12, 12), (300, 240), (9, 2)])
def test_mcnemar_is_the_exact_sign_test(b, c):
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert significance.mcnemar(*answers(b, c)) == pytest.approx(expected, rel=1e-9)


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.04: times 3, 2, 1 are 0.03, 0.04, 0.04.
    assert significance.holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert significance.holm([0.9, 0.8]) == [1.0, 1.0]
    assert significance.holm([]) == []


@pytest.mark.parametrize("freedom", [1, 2, 4, 29, 300])
@pytest.mark.parametrize("t", [0.0, 0.3, -2.1, 8.0])
def test_student_is_scipys(t, freedom):
    expected = 2 * stats.t.sf(abs(t), freedom)
    assert significance.student(t, freedom) == pytest.approx(expected, rel=1e-9)
    expected = stats.t.ppf(0.975, freedom)
    assert significance.student_end(freedom) == pytest.approx(expected, rel=1e-9)


def test_seeds_are_paired():
    first, second = [0.8, 0.7, 0.9, 0.85], [0.75, 0.68, 0.83, 0.86]
    found = significance.over_seeds(first, second)
    expected = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert significance.of_seeds([0.5]) is None


def logits_of(labels, share, seed):
    """Logits that are right on about this share."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 0.1, (len(labels), 3))
    guesses = np.where(random.random(len(labels)) < share, labels, (labels + 1) % 3)
    logits[np.arange(len(labels)), guesses] += 2
    return logits


@pytest.mark.parametrize("figure", ["accuracy", "macro_f1", "balanced_accuracy", "loss"])
def test_a_clear_difference_is_told_with_its_sign(figure):
    labels = np.random.default_rng(0).integers(0, 3, 500)
    good, bad = logits_of(labels, 0.9, 1), logits_of(labels, 0.6, 2)
    for first, second, told in ((good, bad, "better"), (bad, good, "worse")):
        found = significance.on_images(first, second, labels, figure, (0.5, 0.5))
        assert significance.verdict(figure, found.difference, found.p) == told
        assert found.low <= found.difference <= found.high
        assert not found.low <= 0 <= found.high
        assert found.needed == 0


def test_equals_cannot_be_told_apart():
    labels = np.random.default_rng(0).integers(0, 3, 200)
    logits = logits_of(labels, 0.8, 1)
    found = significance.on_images(logits, logits, labels, "macro_f1", (0.5, 0.5))
    assert (found.difference, found.p, found.needed) == (0, 1, None)
    assert significance.verdict("macro_f1", 0.0, found.p) == "cannot tell"


def test_as_many_images_as_it_says_are_enough_most_often():
    labels = np.random.default_rng(0).integers(0, 3, 200)
    first, second = logits_of(labels, 0.83, 1), logits_of(labels, 0.78, 2)
    found = significance.on_images(first, second, labels, "accuracy", (0.5, 0.5))
    assert significance.verdict("accuracy", found.difference, found.p) == "cannot tell"
    assert found.needed > 0
    # 200 images times (2.80 x error / difference) squared, the error of paired shares.
    gaps = (first.argmax(-1) == labels) * 1.0 - (second.argmax(-1) == labels)
    expected = 200 * (2.8016 * gaps.std() / np.sqrt(200) / gaps.mean()) ** 2 - 200
    assert found.needed == pytest.approx(expected, rel=0.25)


def test_different_images_are_two_samples():
    labels = np.random.default_rng(0).integers(0, 3, 400)
    first, second = logits_of(labels, 0.9, 1), logits_of(labels[:300], 0.6, 2)
    found = significance.on_different_images(
        (first, labels, 0.5), (second, labels[:300], 0.5), "accuracy"
    )
    right = [(z.argmax(-1) == labels[: len(z)]).mean() for z in (first, second)]
    assert found.difference == pytest.approx(right[0] - right[1])
    error = np.sqrt(right[0] * (1 - right[0]) / 400 + right[1] * (1 - right[1]) / 300)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.p < 1e-6
