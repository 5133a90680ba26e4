"""A loss on labels where some images have none."""

import numpy as np
import pytest
import tensorflow as tf

from tlcli.options.loss.bce import Loss as Bce
from tlcli.options.loss.cross_entropy import Loss as CrossEntropy
from tlcli.training.label_loss import Partly


def cross_entropy(smoothing=0.0):
    made = CrossEntropy(label_smoothing=smoothing, class_weight=None)
    return Partly(made.prepared(np.array([1, 1]), ("a", "b")))


def test_an_image_without_label_has_no_loss_and_no_gradient():
    logits = tf.constant([[0.0, np.log(3.0)], [2.0, -1.0], [np.log(4.0), 0.0]])
    labels = [[0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = cross_entropy().loss(labels, logits)
        mean = tf.reduce_mean(losses)
    # Softmax gives (1/4, 3/4) and (4/5, 1/5): losses log(4/3), nothing, log 5.
    np.testing.assert_allclose(losses, [np.log(4 / 3), 0, np.log(5)], rtol=1e-6)
    gradient = np.array([[1 / 4, -1 / 4], [0, 0], [4 / 5, -4 / 5]]) / 3
    np.testing.assert_allclose(tape.gradient(mean, logits), gradient, rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_image_mixed_with_one_without_label_counts_by_its_share(smoothing):
    logits = np.array([[1.0, -0.5]])
    whole = cross_entropy(smoothing).loss(np.array([[0.0, 1.0]]), logits)
    share = cross_entropy(smoothing).loss(np.array([[0.0, 0.3]]), logits)
    np.testing.assert_allclose(share, 0.3 * np.asarray(whole), rtol=1e-6)


def test_no_label_is_not_the_label_no_of_every_class():
    bce = Bce(label_smoothing=0.0, reduction="sum", class_weight=None)
    loss = Partly(bce.prepared(np.array([1, 1]), ("a", "b")))
    found = loss.loss(np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros((2, 2)))
    np.testing.assert_allclose(found, [0.0, 2 * np.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(Partly(None).loss(np.zeros((2, 2)), np.ones((2, 2))), [0, 0])
