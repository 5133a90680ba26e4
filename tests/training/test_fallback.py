"""A way back from weights that are not finite."""

from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcli.errors import TlError
from tlcli.training.fallback import HALVINGS, Snapshot, check_weights, next_halving
from tlcli.training.progress import NotFinite, Progress


def phase():
    variable = keras.Variable([1.0, 2.0])
    averages = SimpleNamespace(swa=[np.ones(2)])
    return variable, SimpleNamespace(
        averages=averages, state_variables=lambda: {"model/0": variable}
    )


def test_a_phase_goes_back_to_the_moment_with_half_the_rate():
    variable, found = phase()
    progress = Progress(step=7, rows=[{"loss": 1.0}])
    moment = Snapshot.of(found, progress)
    variable.assign([9.0, 9.0])
    found.averages.swa = []
    progress.step, progress.rows[0]["loss"] = 20, 5.0
    back = moment.restored(found, 1, Path("run"))
    assert (back.step, back.rows, back.halvings) == (7, [{"loss": 1.0}], 1)
    np.testing.assert_array_equal(variable, [1, 2])
    np.testing.assert_array_equal(found.averages.swa[0], [1, 1])


def test_a_moment_comes_back_from_a_state():
    moment = Snapshot.of(phase()[1], Progress(step=7))
    arrays = {**moment.stored(), "model/0": np.zeros(2)}
    found = Snapshot.from_state(SimpleNamespace(arrays=arrays, facts={"good": moment.facts}))
    np.testing.assert_array_equal(found.arrays["model/0"], [1, 2])
    np.testing.assert_array_equal(found.swa[0], [1, 1])
    assert found.facts == moment.facts
    assert Snapshot.from_state(SimpleNamespace(arrays={}, facts={})) is None


def test_weights_that_are_not_finite_are_kept_out_of_states():
    check_weights({"model/0": np.ones(2), "optimizer/0": np.array([np.nan])}, Progress())
    with pytest.raises(NotFinite, match="not finite after step 3 of phase 1"):
        check_weights({"model/0": np.array([1.0, np.inf])}, Progress(step=3))


def test_the_rate_is_halved_so_often_and_no_more():
    error = TlError("the loss is not finite.")
    assert next_halving(Progress(halvings=HALVINGS - 1), error) == HALVINGS
    with pytest.raises(TlError, match=f"after {HALVINGS} halvings of the rate the loss is not"):
        next_halving(Progress(halvings=HALVINGS), error)
