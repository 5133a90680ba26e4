"""The range test finds where training breaks, and leaves all as it was."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers import range_tests
from tests.helpers.range_tests import with_phases
from tests.helpers.trainings import phase_of
from tlcli.training import rate_curve
from tlcli.training.range_test import range_test


@pytest.fixture(scope="module")
def parabola():
    return range_tests.parabola()


def test_it_ends_soon_after_the_rate_at_which_gradient_descent_diverges(parabola):
    curve, *_ = parabola
    # Descent on a parabola of curvature 1000 multiplies its weight by 1 - 1000 rate: 2/1000 is the
    # greatest stable rate. One factor of ten more and each step multiplies the loss by 361.
    assert 0.002 < curve.rates[curve.diverged] < 0.02
    # What is curved that much is at its lowest before.
    found = rate_curve.suggestion(curve)
    assert found.lowest < 0.003
    assert found.rate < found.lowest


def test_weights_are_as_before_to_the_bit(parabola):
    _, before, after, _ = parabola
    assert len(before) > 4
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_second_test_sees_the_same_losses(parabola):
    curve, _, _, again = parabola
    np.testing.assert_array_equal(range_test(*again).losses, curve.losses)


def test_rates_rise_by_the_same_factor(parabola):
    curve, *_ = parabola
    rates = 1e-5 * (1 / 1e-5) ** (np.arange(100) / 99)
    np.testing.assert_allclose(curve.rates, rates[: len(curve.rates)], rtol=1e-12)


def test_the_first_loss_is_that_of_the_first_batch_of_training(parabola):
    curve, before, _, (plan, _) = parabola
    figures = phase_of(plan).feed(0, 1)
    np.testing.assert_allclose(curve.losses[0], figures[0, 0], rtol=1e-6)
    for variable, value in zip(plan.lesson.student.model.variables, before, strict=True):
        variable.assign(value)


def test_a_later_phase_is_tested_after_those_before_it(parabola):
    curve, before, _, (plan, own) = parabola
    tested = plan.phases[0].phase
    first = replace(tested, epochs=2.0, rate=0.05)  # of optimizer.learning_rate=0.01
    both = with_phases(plan, first, tested)
    later = range_test(both, replace(own, phase=2, steps=10))
    # Each step of the first phase halved the weights, 1 - 1000 * 0.0005, to what the labels want.
    assert both.phases[0].total_steps >= 6
    assert later.losses[0] < 0.01 * curve.losses[0]
    for variable, value in zip(plan.lesson.student.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
