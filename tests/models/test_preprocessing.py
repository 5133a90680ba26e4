"""Each way of scaling pixels is that of Keras' own function."""

import keras
import numpy as np
import pytest

from tlcli.models.preprocessing import preprocess

MODULES = {
    "caffe": keras.applications.vgg16,
    "tf": keras.applications.mobilenet,
    "torch": keras.applications.densenet,
}


@pytest.mark.parametrize("mode", MODULES)
def test_preprocessing_is_that_of_keras(mode):
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype("float32")
    inputs = keras.Input((8, 8, 3), name="images")
    model = keras.Model(inputs, preprocess(inputs, mode))
    expected = MODULES[mode].preprocess_input(images.copy())
    np.testing.assert_allclose(model(images), expected, atol=2e-5)
