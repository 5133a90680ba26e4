"""What a curve of losses over rates says."""

import numpy as np
import pytest

from tests.helpers import small_nets
from tlcli.config.settings import FindLr
from tlcli.training import rate_curve


def test_smoothing_by_hand():
    # Weights 1, 1/2, 1/4: (4 + 1 + 0) / 1.75, (2 + 2 + 0) / 2, (1 + 1 + 0) / 1.75.
    found = rate_curve.smooth([4.0, 2.0, 0.0], 0.5)
    np.testing.assert_allclose(found, [5 / 1.75, 2.0, 2 / 1.75], rtol=1e-12)


def test_smoothing_does_not_shift_a_line():
    line = np.linspace(3.0, 1.0, 101)
    np.testing.assert_allclose(rate_curve.smooth(line, 0.5)[20:81], line[20:81], atol=1e-5)


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([1.0, 0.5, 1.9, 2.1], 3),  # 4 x 0.5
        ([1.0, 0.5, 1.9, 1.9], None),
        ([1.0, float("nan"), 1.0], 1),
        ([float("inf")], 0),
        ([1.0, -1.0, 1.9, 2.1], 3),  # -1 + 3 x 1
        ([0.0, 0.0], None),
    ],
)
def test_divergence_without_smoothing(losses, step):
    own = FindLr(1e-6, 10.0, 100, 1, 0.0, 4.0, None, False)
    assert rate_curve.divergence(losses, own) == step


def test_divergence_is_of_the_loss_smoothed_backwards():
    # beta 1/2: 1, then (1/2 + 9) / (3/2) = 6.3; one wild batch of 5 is (1/2 + 5) / (3/2) = 3.7.
    own = FindLr(1e-6, 10.0, 100, 1, 0.5, 4.0, None, False)
    assert rate_curve.divergence([1.0, 5.0], own) is None
    assert rate_curve.divergence([1.0, 9.0], own) == 1


def curve_of(losses, rates):
    return rate_curve.Curve(rates, losses, losses, None)


def test_suggestion_on_a_curve_with_known_points():
    rates = np.geomspace(1e-6, 1, 601)
    x = np.log10(rates)
    # A fall that is steepest at 1e-4, and a bowl with its bottom at 0.01.
    losses = 3 - 1 / (1 + np.exp(-6 * (x + 4))) + 0.01 * np.maximum(x + 2, 0)
    losses = losses - 0.001 * (x + 2) * (x < -2)
    found = rate_curve.suggestion(curve_of(losses, rates))
    assert found.steepest == pytest.approx(1e-4, rel=0.02)
    assert found.lowest == pytest.approx(1e-2, rel=0.02)
    assert found.rate == found.lowest / 2
    assert found.reason == "half the rate of the lowest loss"


@pytest.mark.parametrize("losses", [np.linspace(1, 2, 50), np.ones(50), np.ones(2)])
def test_a_loss_that_never_falls_speaks_for_nothing(losses):
    assert rate_curve.suggestion(curve_of(losses, np.geomspace(1e-6, 1, len(losses)))) is None


def test_noise_of_a_bent_curve():
    x = np.linspace(0, 1, 2000)
    losses = 5 * np.exp(-3 * x) + np.random.default_rng(0).normal(0, 0.2, 2000)
    assert rate_curve.noise(losses) == pytest.approx(0.2, rel=0.05)


def test_noise_is_no_fall():
    losses = 1 + np.random.default_rng(0).normal(0, 0.1, 80)
    curve = rate_curve.Curve(
        np.geomspace(1e-6, 1, 80), losses, rate_curve.smooth(losses, 0.9), None
    )
    assert rate_curve.suggestion(curve) is None


@pytest.mark.parametrize("kind", ["adam", "sgd", "lion"])
@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_following_it_costs_two_points_of_the_best_of_a_grid_at_most(kind, wrong):
    own = FindLr(1e-6, 10.0, 100, 1, 0.8, 4.0, None, False)
    lost, slower = [], []
    for seed in range(3):
        train, test = small_nets.clusters(seed, wrong)
        rates = np.geomspace(own.start, own.end, own.steps)
        losses, _ = small_nets.trained(train, kind, rates, 20 + seed)
        found = rate_curve.suggestion(rate_curve.curve_of(rates, losses, own))
        reached = [small_nets.accuracy(train, test, kind, rate, 10 + seed)
                   for rate in [*small_nets.GRID, found.rate, found.rate / 30]]  # fmt: skip
        lost.append(max(reached[:-2]) - reached[-2])
        slower.append(max(reached[:-2]) - reached[-1])
    assert np.mean(lost) <= 0.02
    # The data tell rates apart.
    assert np.mean(slower) > 0.03
