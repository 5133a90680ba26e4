"""Every optimizer on a network of depthwise, grouped and 1x1 convolutions whose head is zero."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.options.optimizer.test_optimizers import NAMES, option
from tlcli.training.rates import evaluation_weights, with_rates

STEPS = 12


def network(policy="float32"):
    """A small network with dead channels, a frozen stem and a head of zeros."""
    keras.utils.set_random_seed(0)
    with keras.device("cpu:0"):
        images = keras.Input((8, 8, 3))
        x = layers.Conv2D(6, 3, name="stem", dtype=policy)(images)
        x = layers.BatchNormalization(name="stem_bn", dtype=policy)(x)
        # An offset far below zero makes channel 0 dead, here and after the 1x1 convolution.
        x = layers.DepthwiseConv2D(3, padding="same", name="depthwise", dtype=policy)(x)
        x = layers.ReLU(dtype=policy)(x)
        x = layers.Conv2D(8, 1, name="pointwise", dtype=policy)(x)
        x = layers.ReLU(dtype=policy)(x)
        x = layers.Conv2D(8, 3, groups=2, padding="same", name="grouped", dtype=policy)(x)
        x = layers.BatchNormalization(name="bn", dtype=policy)(x)
        x = layers.GlobalAveragePooling2D(dtype=policy)(x)
        x = layers.Dense(16, activation="gelu", name="dense", dtype=policy)(x)
        x = layers.Dense(3, kernel_initializer="zeros", name="head_logits", dtype=policy)(x)
    model = keras.Model(images, layers.Activation("linear", dtype="float32")(x))
    for name in ("stem", "stem_bn"):
        model.get_layer(name).trainable = False
    for name in ("depthwise", "pointwise"):
        offset = model.get_layer(name).bias
        offset.assign(np.where(np.arange(offset.shape[0]) == 0, -100.0, 0.0))
    return model


def train(name, model, rate=None, steps=STEPS):
    """The loss before each of some steps on one batch."""
    random = np.random.default_rng(0)
    labels = np.arange(24) ** 2 % 3
    images = random.normal(size=(24, 8, 8, 3)) + labels[:, None, None, None]
    images, labels = tf.constant(images, tf.float32), tf.constant(labels)
    own = option(name)
    trained = model.trainable_variables
    decays = [float(len(v.shape) > 1) * own.weight_decay for v in trained]
    optimizer = with_rates(own.build(rate), trained, [1.0] * len(trained), decays)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = tf.reduce_mean(loss)
        values = [v.value for v in trained]
        optimizer.apply([tf.convert_to_tensor(g) for g in tape.gradient(loss, values)], trained)
        return loss

    return [float(step()) for _ in range(steps)], optimizer


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_stays_finite_and_leaves_the_frozen_part(name, policy):
    model = network(policy)
    before = {v.path: v.numpy() for v in model.variables}
    losses, optimizer = train(name, model)
    for variable, value in zip(
        model.trainable_variables,
        evaluation_weights(optimizer) or model.trainable_variables,
        strict=True,
    ):
        assert np.isfinite(np.asarray(value)).all(), variable.path
        assert not np.array_equal(np.asarray(value), before[variable.path]), variable.path
    assert losses[-1] < losses[0]
    for name in ("stem", "stem_bn"):
        for variable in model.get_layer(name).variables:
            np.testing.assert_array_equal(variable.numpy(), before[variable.path])


def test_adafactor_gives_a_weight_between_dead_channels_no_update():
    model = network()
    # The first step's gradients are zero below the head, the second's between dead channels.
    train("adafactor", model, 0.01, steps=3)
    assert np.isfinite(model.get_layer("pointwise").kernel.numpy()).all()


@pytest.mark.parametrize("name", ["adafactor", "lamb"])
def test_a_head_of_zeros_grows_in_a_hundred_steps(name):
    model = network()
    train(name, model, 0.01, steps=100)
    size = np.sqrt(np.mean(np.square(model.get_layer("head_logits").kernel.numpy())))
    assert size > 0.01


def test_muon_takes_the_kernel_of_a_convolution_as_a_matrix():
    model = network()
    before = model.get_layer("grouped").kernel.numpy()
    train("muon", model, 0.001, steps=2)
    moved = (model.get_layer("grouped").kernel.numpy() - before).reshape(-1, 8)
    values = np.linalg.svd(moved, compute_uv=False)
    # Newton-Schulz brings all singular values near one another; Adam's signs do not.
    assert values[-1] > 0.4 * values[0]


def test_muon_leaves_depthwise_kernels_to_adamw():
    moved = []
    for name in ("muon", "adamw"):
        model = network()
        train(name, model, 0.001, steps=1)
        moved.append(model.get_layer("depthwise").kernel.numpy())
    np.testing.assert_array_equal(*moved)
