import numpy as np
import pytest

from tests.helpers.published import MOBILENET, random_mobilenet
from tlcli.audit import network
from tlcli.config import registry
from tlcli.lazy import keras


def option(name, **changes):
    return registry.build("backbone", {**registry.defaults("backbone", name), **changes})


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("TL_OFFLINE", "1")
    return tmp_path / "models" / MOBILENET


def test_without_weights_the_shipped_network_is_taken_and_said(empty):
    found = network.embedder(option("auto"), "auto", None)
    assert found.side == 32
    assert found.told.startswith(
        "tiny at 32 px, weights tiny_digits.weights.h5, which knows digits"
    )
    assert "nor can be fetched" in found.told


def test_what_lies_at_hand_is_taken(empty):
    random_mobilenet(empty)
    found = network.embedder(option("auto"), "auto", 64)
    assert (found.side, found.told) == (64, "mobilenet 0.25 at 64 px, weights imagenet (MobileNet)")
    assert found.network.call(np.zeros((2, 64, 64, 3), np.uint8))[0].shape == (2, 256)


def test_a_network_that_was_named_is_taken():
    found = network.embedder(option("tiny", weights="none"), "tiny", 16)
    assert found.told == "tiny at 16 px, weights random"


@pytest.mark.parametrize("shape", [(4, 4, 3), (16, 3), (3,)])
def test_features_become_one_vector(shape):
    features = np.random.default_rng(0).normal(size=(2, *shape)).astype("float16")
    found = network.pooled(keras.ops.convert_to_tensor(features))
    assert found.dtype == "float32"
    wanted = features.astype("float32").reshape(2, -1, 3).mean(1)
    np.testing.assert_allclose(found, wanted, atol=2e-3)
