"""Vector scaling finds the minimum that a general optimiser finds, within its bounds."""

import numpy as np
import pytest
from scipy.optimize import minimize

from tlcli.evaluation.metrics import cross_entropy
from tlcli.evaluation.vector_scaling import MOST_BIAS, PRIOR_IMAGES, SCALES, fit_vector


@pytest.fixture
def skewed():
    random = np.random.default_rng(1)
    labels = random.integers(0, 4, 200)
    logits = random.normal([0, 0, 1.5, 0], 2, (200, 4))
    logits[np.arange(200), labels] += 1.5
    return logits, labels


def test_the_minimum_is_that_of_a_general_optimiser(skewed):
    logits, labels = skewed

    def loss(place):
        away = ((place[:4] - 0.5) / 0.5) ** 2 + place[4:] ** 2
        return cross_entropy(logits * place[:4] + place[4:], labels).sum() + 5 * away.sum()

    wanted = minimize(loss, np.repeat([0.5, 0.0], 4), method="BFGS")
    found = fit_vector(logits, labels, 2.0)
    assert PRIOR_IMAGES == 5
    np.testing.assert_allclose([*found.scale, *found.bias], wanted.x, atol=1e-3)
    assert found.bias[2] < min(found.bias[0], found.bias[1], found.bias[3])


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_numbers_stay_within_their_bounds(skewed, factor):
    found = fit_vector(skewed[0] * factor, skewed[1], 1.0)
    assert all(SCALES[0] <= one <= SCALES[1] for one in found.scale)
    assert all(abs(one) <= MOST_BIAS for one in found.bias)
