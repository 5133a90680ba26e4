"""Weights are written whole, or not at all."""

import h5py
import keras
import numpy as np
import pytest

from tlcli.errors import TlError
from tlcli.runs import weights_file


@pytest.fixture
def model():
    inputs = keras.Input((3,))
    return keras.Model(inputs, keras.layers.Dense(2, name="only")(inputs))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_make_no_run(model, tmp_path, value):
    weights_file.require_finite(model, tmp_path)
    model.weights[1].assign([0.0, value])
    with pytest.raises(TlError, match=r"only/bias is not finite, so this is no run"):
        weights_file.require_finite(model, tmp_path)


def test_a_disk_without_room_is_told_before_anything_is_written(model, tmp_path, monkeypatch):
    path = tmp_path / "weights.h5"
    weights_file.save(model, path)
    with h5py.File(path) as file:
        assert len(file) > 0
    path.unlink()
    monkeypatch.setattr("tlcli.system.files.free_bytes", lambda _: 1000)
    with pytest.raises(TlError, match=r"needs|room|space"):
        weights_file.save(model, path)
    assert not path.exists()
