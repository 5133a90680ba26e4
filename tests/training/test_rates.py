"""A rate for each step and variable."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.optimizers import option, variables
from tlcli.training.rates import TableSchedule, with_rates


def test_a_plateau_factor_scales_the_rate_of_a_compiled_step():
    factor = keras.Variable(1.0, trainable=False)
    weight = keras.Variable([1.0])
    built = option("sgd", momentum=0.0).build(TableSchedule([0.1], factor))
    optimizer = with_rates(built, [weight], [1.0], [0.0])
    apply = tf.function(lambda: optimizer.apply([tf.constant([1.0])]))
    apply()
    factor.assign(0.5)
    apply()
    np.testing.assert_allclose(weight.numpy(), [1 - 0.1 - 0.05], rtol=1e-6)
    assert any(v is factor for v in optimizer.variables)


def test_as_many_rates_as_variables():
    with pytest.raises(ValueError, match="3 variables, 2 rates, 3 decays"):
        with_rates(option("sgd").build(), variables(), (1, 1), (0, 0, 0))


def test_scaled_rates_by_hand():
    rates = {s: option("sgd", scaling=s, learning_rate=0.1).scaled_rate(1024)
             for s in ("none", "linear", "sqrt")}  # fmt: skip
    assert rates == pytest.approx({"none": 0.1, "linear": 0.4, "sqrt": 0.2})


def test_weight_decay_follows_half_a_cosine():
    values = option("adamw", weight_decay=0.04, weight_decay_end=0.4).weight_decay_values(100)
    assert values.shape == (100,)
    assert (values[0], values[50]) == (pytest.approx(0.04), pytest.approx(0.22))
    assert values[99] == pytest.approx(0.4 - 0.18 * (1 + math.cos(0.99 * math.pi)))
    np.testing.assert_array_equal(option("adamw").weight_decay_values(3), [0.01] * 3)
