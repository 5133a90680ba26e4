"""Mutual learning against numpy and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import ConfigError
from tlcli.options.distillation.mutual import mean_logits


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


def divergence(p, q):
    return (p * (np.log(p) - np.log(q))).sum(-1)


def cross_entropy(labels):
    return lambda z: -tf.reduce_sum(labels * tf.nn.log_softmax(z), -1)


def networks(*logits):
    """A state whose peers give these logits, whatever they see."""
    return SimpleNamespace(models=[lambda images, training, z=z: z for z in logits])


@pytest.mark.parametrize("target", ["each", "mean"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_loss_is_the_papers(rng, target, temperature):
    student, *peers = rng.normal(size=(3, 5, 4)).astype("float32") * 3
    labels = methods.one_hot([0, 1, 2, 3, 0], 4)
    batch = Batch(labels=labels, label_loss=cross_entropy(labels))
    method = methods.make(
        "mutual", peers=[{}, {}], target=target, temperature=temperature, hard_weight=0.7,
        soft_weight=1.3,
    )  # fmt: skip
    fixed = student.astype("float64")

    def soft(z):
        return softmax(z / temperature)

    def mimicry(own, others):
        if target == "mean":
            return temperature**2 * divergence(np.mean([soft(z) for z in others], 0), soft(own))
        return temperature**2 * np.mean([divergence(soft(z), soft(own)) for z in others], 0)

    def oracle(ours, _):
        own, (one, two) = ours["logits"], (p.astype("float64") for p in peers)
        # What the peers learn from is the student's prediction as a constant.
        others = mimicry(one, [fixed, two]) + mimicry(two, [fixed, one])
        hard = sum(-(labels * np.log(softmax(z))).sum(-1) for z in (one, two))
        return 1.3 * (mimicry(own, [one, two]) + others) + 0.7 * hard

    state = networks(*map(tf.constant, peers))
    methods.agree(
        method, oracle, {"logits": student}, {"logits": student}, batch=batch, state=state
    )


def test_a_peer_is_pulled_to_label_and_student_in_closed_form(rng):
    student, peer = rng.normal(size=(2, 6, 4)).astype("float32")
    labels = methods.one_hot([0, 1, 2, 3, 0, 1], 4)
    method = methods.make("mutual", hard_weight=0.4, soft_weight=2.0)
    batch = Batch(labels=labels, label_loss=cross_entropy(labels))
    variable = tf.Variable(peer)
    with tf.GradientTape() as tape:
        state = networks(tf.convert_to_tensor(variable))
        loss = tf.reduce_sum(method.loss(batch, Outputs(tf.constant(student)), None, state))
    q = softmax(peer.astype("float64"))
    expected = 0.4 * (q - labels) + 2.0 * (q - softmax(student.astype("float64")))
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, atol=1e-5)


def test_equal_networks_have_label_loss_alone(rng):
    logits = rng.normal(size=(3, 4)).astype("float32") * 20
    labels = methods.one_hot([0, 1, 2], 4)
    batch = Batch(labels=labels, label_loss=cross_entropy(labels))
    method = methods.make("mutual")
    loss = method.loss(batch, Outputs(tf.constant(logits)), None, networks(tf.constant(logits)))
    np.testing.assert_allclose(loss, cross_entropy(labels)(logits), rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_mean_logits_have_the_mean_probabilities(rng, temperature):
    logits = [tf.constant(z) for z in rng.normal(size=(3, 5, 4)).astype("float32") * 4]
    found = mean_logits(logits, temperature, multi_label=False).numpy() / temperature
    expected = np.mean([softmax(z.numpy() / temperature) for z in logits], 0)
    np.testing.assert_allclose(softmax(found), expected, atol=1e-6)
    found = mean_logits(logits, temperature, multi_label=True).numpy() / temperature
    expected = np.mean([1 / (1 + np.exp(-z.numpy() / temperature)) for z in logits], 0)
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), expected, atol=1e-6)


def test_independent_classes_are_summed(rng):
    student, peer = rng.normal(size=(2, 5, 4)).astype("float32")
    batch = Batch(labels=None, label_loss=lambda z: tf.zeros(len(z)), multi_label=True)
    method = methods.make("mutual")
    found = method.loss(batch, Outputs(tf.constant(student)), None, networks(tf.constant(peer)))
    p, q = (1 / (1 + np.exp(-z.astype("float64"))) for z in (peer, student))
    both = [
        a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b)) for a, b in ((p, q), (q, p))
    ]  # fmt: skip
    np.testing.assert_allclose(found, sum(both).sum(-1), rtol=1e-4)


@pytest.mark.parametrize(("key", "value"), [("peers", []), ("temperature", 0.0)])
def test_refusals(key, value):
    with pytest.raises(ConfigError, match=rf"^distillation\.{key}: "):
        methods.make("mutual", **{key: value})
