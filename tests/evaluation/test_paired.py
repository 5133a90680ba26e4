"""Paired differences and their errors."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from tlcli.evaluation.paired import difference, of_logits


def data(labels, multi_label=False):
    names = tuple(map(str, range(3)))
    return SimpleNamespace(labels=np.array(labels), multi_label=multi_label, class_names=names)


def test_mean_and_standard_error_by_hand():
    found = difference([0.1, 0.3, 0.2])
    # Deviations -0.1, 0.1, 0: variance 0.02 / 2 = 0.01, error 0.1 / sqrt(3).
    assert (found.mean, found.count) == (pytest.approx(0.2), 3)
    assert found.error == pytest.approx(0.1 / math.sqrt(3))
    assert str(found) == "+0.2000 ± 0.0577"


def test_one_pair_has_no_error():
    assert difference([-0.25]).error is None
    assert str(difference([-0.25])) == "-0.2500"


def test_images_that_both_have_right_or_wrong_add_nothing():
    labels = [0, 1, 2, 0]
    ours = np.eye(3)[[0, 1, 2, 1]]
    theirs = np.eye(3)[[0, 2, 0, 1]]
    found = of_logits(ours, theirs, data(labels), np.arange(4))
    # Differences 0, 1, 1, 0: mean 1/2, variance 1/3, error sqrt(1/3) / 2.
    assert found.mean == 0.5
    assert found.error == pytest.approx(math.sqrt(1 / 3) / 2)
    assert of_logits(theirs, theirs, data(labels), np.arange(4)).error == 0


def test_independent_classes_are_compared_by_mean_average_precision():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (60, 3))
    good = labels * 2.0 + random.normal(0, 0.3, labels.shape)
    found = of_logits(good, random.normal(size=labels.shape), data(labels, True), np.arange(60))
    assert found.mean > 0.3
    assert 0 < found.error < 0.1
    same = of_logits(good, good, data(labels, True), np.arange(60))
    assert (same.mean, same.error) == (0, 0)
