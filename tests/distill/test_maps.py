"""Maps of a classifier before and after activation."""

import keras
import numpy as np
import pytest

from tlcli.distill.maps import tapped
from tlcli.errors import ConfigError


@pytest.fixture
def network():
    images = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3, name="conv")(images)
    maps = keras.layers.BatchNormalization(name="bn")(maps)
    maps = keras.layers.ReLU(name="act")(maps)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(images, keras.layers.Dense(2)(pooled))


def test_both_maps_of_a_stage_and_the_norm_between(network):
    layer = network.get_layer("bn")
    layer.gamma.assign([-1, 2, -3, 4])
    needs = frozenset({"features", "preactivations"})
    tensors, names, norms = tapped(network, needs, "teacher", ["act"])
    assert names == ["feature_0", "preactivation_0"]
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    after, before = keras.Model(network.inputs, tensors)(images)
    np.testing.assert_allclose(after, np.maximum(before, 0), rtol=1e-6)
    np.testing.assert_array_equal(norms[0][1], [1, 2, 3, 4])


def test_a_stage_without_an_activation_of_its_own_is_refused(network):
    needs = frozenset({"preactivations"})
    with pytest.raises(ConfigError, match="the student's layer conv has none apart from it"):
        tapped(network, needs, "student", ["conv"])
    assert tapped(network, frozenset({"features"}), "student", ["conv"])[1:] == (["feature_0"], ())
