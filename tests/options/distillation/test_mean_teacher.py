"""The moving average as teacher against numpy and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import Batch
from tlcli.errors import ConfigError


def softmax(z):
    p = np.exp(z - z.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize("cost", ["mse", "kl"])
def test_loss_is_the_papers(rng, cost):
    student, teacher = rng.normal(size=(2, 5, 4)).astype("float32") * 2
    method = methods.make("mean_teacher", cost=cost, soft_weight=3.0)
    state = SimpleNamespace(model=lambda images, training: tf.constant(teacher))

    def oracle(ours, theirs):
        p, q = softmax(theirs["logits"]), softmax(ours["logits"])
        if cost == "mse":
            return 3.0 * ((p - q) ** 2).mean(-1)
        return 3.0 * (p * np.log(p / q)).sum(-1)

    signals = {"logits": student}, {"logits": teacher}
    methods.agree(method, oracle, *signals, batch=Batch(labels=None), state=state)


def test_independent_classes(rng):
    student, teacher = rng.normal(size=(2, 5, 4)).astype("float32")
    p, q = (1 / (1 + np.exp(-z.astype("float64"))) for z in (teacher, student))
    found = methods.make("mean_teacher").distance(*map(tf.constant, (student, teacher)), True)
    np.testing.assert_allclose(found, ((p - q) ** 2).mean(-1), rtol=1e-5)


def test_the_weight_rises_as_in_the_paper():
    method = methods.make("mean_teacher", soft_weight=100.0, warmup_epochs=4.0)
    for epoch, expected in ((0.0, np.exp(-5)), (2.0, np.exp(-1.25)), (4.0, 1.0), (9.0, 1.0)):
        factor = method.factor(Batch(labels=None, epoch=tf.constant(epoch)))
        np.testing.assert_allclose(factor, 100 * expected, rtol=1e-6)
    line = methods.make("mean_teacher", soft_weight=1.0, warmup_epochs=4.0, ramp="linear")
    assert float(line.factor(Batch(labels=None, epoch=1.0))) == 0.25
    falling = methods.make("mean_teacher", soft_weight=1.0, decay="linear")
    assert float(falling.factor(Batch(labels=None, epoch=9.0, progress=0.75))) == 0.25


@pytest.mark.parametrize(("warmup", "kept"), [(True, [1 / 2, 2 / 3, 0.7]), (False, [0.7] * 3)])
def test_the_average_moves_as_written(warmup, kept):
    method = methods.make("mean_teacher", ema_decay=0.7, ema_warmup=warmup)
    average, student = tf.Variable([1.0, -2.0]), tf.Variable([0.0, 0.0])
    state = SimpleNamespace(moves=tf.Variable(0.0), pairs=[(average, student)])
    expected = np.array([1.0, -2.0])
    for value, decay in zip((3.0, 5.0, -1.0), kept, strict=True):
        student.assign([value, 2 * value])
        for variable, new in method.advance(Batch(labels=None), state):
            variable.assign(new)
        expected = decay * expected + (1 - decay) * np.array([value, 2 * value])
        np.testing.assert_allclose(average, expected, rtol=1e-6)
    assert state.moves.numpy() == 3


def test_an_average_without_limit_is_the_mean_of_all():
    method = methods.make("mean_teacher", ema_decay=0.999, ema_warmup=True)
    average, student = tf.Variable(4.0), tf.Variable(0.0)
    state = SimpleNamespace(moves=tf.Variable(0.0), pairs=[(average, student)])
    for value in (1.0, 7.0, 2.0):
        student.assign(value)
        for variable, new in method.advance(Batch(labels=None), state):
            variable.assign(new)
    np.testing.assert_allclose(average, np.mean([4.0, 1.0, 7.0, 2.0]), rtol=1e-6)


@pytest.mark.parametrize("value", [1.0, -0.1])
def test_decay_is_below_one(value):
    with pytest.raises(ConfigError, match=r"^distillation\.ema_decay: "):
        methods.make("mean_teacher", ema_decay=value)
