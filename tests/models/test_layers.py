"""Layers that make a classifier fit as teacher, against numpy."""

import numpy as np
import tensorflow as tf

from tlcli.evaluation.metrics import softmax
from tlcli.models.layers import ChosenClasses, MeanLogits, MeanProbabilities, ResizeImages

RNG = np.random.default_rng(0)
LOGITS = [RNG.normal(size=(3, 4)).astype(np.float32) for _ in range(2)]


def test_pictures_are_resized_as_tensorflow_does():
    images = RNG.integers(0, 256, (2, 12, 12, 3), np.uint8)
    expected = tf.image.resize(images.astype(np.float32), (8, 8), antialias=True).numpy()
    layer = ResizeImages(12, 8)
    found = layer(images).numpy()
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.51
    assert layer.compute_output_spec(tf.TensorSpec((None, 12, 12, 3))).shape == (None, 8, 8, 3)


def test_classes_are_chosen_in_order():
    found = ChosenClasses([2, 0])(LOGITS[0])
    np.testing.assert_array_equal(found, LOGITS[0][:, [2, 0]])


def test_mean_logits_by_model_and_by_class():
    np.testing.assert_allclose(
        MeanLogits([0.25, 0.75])(LOGITS), 0.25 * LOGITS[0] + 0.75 * LOGITS[1], rtol=1e-6
    )
    shares = np.array([[1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5]])
    expected = shares[0] * LOGITS[0] + shares[1] * LOGITS[1]
    np.testing.assert_allclose(MeanLogits(shares)(LOGITS), expected, rtol=1e-6)


def test_mean_probabilities_are_those_of_the_models():
    found = softmax(MeanProbabilities([0.25, 0.75])(LOGITS).numpy())
    expected = 0.25 * softmax(LOGITS[0]) + 0.75 * softmax(LOGITS[1])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
