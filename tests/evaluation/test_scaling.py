"""One place turns logits into calibrated ones, by a divisor or by two numbers a class."""

import numpy as np
import pytest

from tlcli.evaluation.metrics import probabilities
from tlcli.evaluation.scaling import PLAIN, Scaling

LOGITS = np.array([[2.0, 1.0], [0.0, -4.0]], np.float32)


def test_a_temperature_divides():
    assert Scaling(2.0)(LOGITS).tolist() == [[1.0, 0.5], [0.0, -2.0]]
    assert np.array_equal(PLAIN(LOGITS), LOGITS)


def test_a_vector_multiplies_and_adds_class_by_class():
    found = Scaling(1.0, (0.5, 2.0), (1.0, -1.0))
    assert found(LOGITS).tolist() == [[2.0, 1.0], [1.0, -9.0]]
    # 1 / (1 + e^(1 - 2)) for the first image.
    assert probabilities(LOGITS, False, found)[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.parametrize("scaling", [Scaling(1.5), Scaling(1.0, (0.5, 2.0), (1.0, -1.0))])
def test_what_metadata_says_gives_it_back(scaling):
    assert Scaling.of(scaling.facts()) == scaling
    assert Scaling.of({}) == PLAIN
