"""Averages of the weights, and which of them are evaluated."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcli.training.averages import Averages, swapped


def averages(ema=None, swa=None):
    variables = [keras.Variable([0.0, 0.0]), keras.Variable([1])]
    return Averages(SimpleNamespace(ema=ema, swa=swa), variables, 100), variables


def values(variables):
    return [v.numpy().tolist() for v in variables]


def test_equal_averages_are_the_mean_of_what_was_taken():
    found, variables = averages(swa=0.75)
    assert [found.equal_from(step) for step in (74, 75, 100)] == [False, True, True]
    for number in (1, 2, 3):
        variables[0].assign([number, -number])
        found.take(number)
    np.testing.assert_allclose(found.swa[0], [2, -2])
    with found.in_use(None, None, []):
        assert values(variables)[0] == [2, -2]
    assert values(variables)[0] == [3, -3]
    assert not averages()[0].equal_from(100)


def test_moving_averages_go_first_and_a_methods_copy_last():
    found, variables = averages(ema=0.9)
    found.ema[0].assign([5, 5])
    found.take(1)
    with found.in_use(None, None, []):
        assert values(variables)[0] == [5, 5]
    found, variables = averages()
    copy = [keras.Variable([7.0, 7.0])]
    for keep in (True, False):
        average = SimpleNamespace(keep=keep, pairs=[(copy[0], variables[0])])
        with found.in_use(average, keras.optimizers.SGD(), []):
            assert values(variables)[0] == ([7, 7] if keep else [0, 0])


def test_values_come_back_after_an_error_too():
    variable = keras.Variable([1.0])
    with pytest.raises(KeyError), swapped([variable], [[2.0]]):
        raise KeyError
    assert variable.numpy() == 1
