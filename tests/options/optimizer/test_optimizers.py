"""Updates against float64 implementations of the papers."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.optimizers import WEIGHTS, arrays, option, variables
from tlcli.config import registry
from tlcli.errors import ConfigError
from tlcli.training.rates import TableSchedule, evaluation_weights, with_rates

NAMES = sorted(p.stem for p in (registry.config_root() / "optimizer").glob("*.yaml"))

STEPS = 5

TABLE = 0.01 * np.array([0.5, 1.0, 0.9, 0.7, 0.4])

RATES = (1.0, 0.3, 2.0)

DECAYS = (0.5, 0.0, 0.2)

FACTOR = np.array([1.0, 0.9, 0.8, 0.7, 0.6])


GRADIENTS = [arrays(1 + step) for step in range(STEPS)]


class Paper:
    """One variable's state; `step(w, g, rate, decay, t)` returns its weights after update t."""

    beta_1, beta_2, epsilon = 0.9, 0.999, 1e-7

    def __init__(self, weights):
        self.m, self.v = np.zeros_like(weights), np.zeros_like(weights)
        self.start(weights)

    def start(self, weights):
        pass

    def step(self, w, g, rate, decay, t):
        return self.update(w * (1 - rate * decay), g, rate, t)

    def moments(self, g, t):
        self.m = self.beta_1 * self.m + (1 - self.beta_1) * g
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * g**2
        return self.m / (1 - self.beta_1**t), self.v / (1 - self.beta_2**t)


class Sgd(Paper):
    nesterov = False

    def update(self, w, g, rate, t):
        # The velocity holds the rate, as in Sutskever et al. 2013.
        self.m = 0.9 * self.m - rate * g
        return w + (0.9 * self.m - rate * g if self.nesterov else self.m)


class Nesterov(Sgd):
    nesterov = True


class Adam(Paper):
    def update(self, w, g, rate, t):
        # Kingma and Ba, the form before section 2.1: epsilon is added to the uncorrected root.
        m, _ = self.moments(g, t)
        return w - rate * math.sqrt(1 - self.beta_2**t) * m / (np.sqrt(self.v) + self.epsilon)


class Amsgrad(Adam):
    def start(self, weights):
        self.most = np.zeros_like(weights)

    def update(self, w, g, rate, t):
        m, _ = self.moments(g, t)
        self.most = np.maximum(self.most, self.v)
        return w - rate * math.sqrt(1 - self.beta_2**t) * m / (np.sqrt(self.most) + self.epsilon)


class Nadam(Paper):
    def update(self, w, g, rate, t):
        mu = [self.beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
        _, v = self.moments(g, t)
        m = mu[t] * self.m / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
        return w - rate * m / (np.sqrt(v) + self.epsilon)


class Lamb(Paper):
    epsilon = 1e-6

    def update(self, w, g, rate, t):
        m, v = self.moments(g, t)
        direction = m / (np.sqrt(v) + self.epsilon)
        # The authors leave normalisation and offsets out of the scaling; phi bounds the rest.
        ratio = 1.0 if w.ndim < 2 else max(rms(w), 0.03) / rms(direction)
        return w - rate * ratio * direction


class Lion(Paper):
    def update(self, w, g, rate, t):
        new = w - rate * np.sign(0.9 * self.m + 0.1 * g)
        self.m = 0.99 * self.m + 0.01 * g
        return new


class RmsProp(Paper):
    def update(self, w, g, rate, t):
        self.v = 0.9 * self.v + 0.1 * g**2
        return w - rate * g / np.sqrt(self.v + 1e-7)


class CenteredRmsProp(Paper):
    def update(self, w, g, rate, t):
        self.v = 0.9 * self.v + 0.1 * g**2
        self.mean = 0.9 * getattr(self, "mean", 0.0) + 0.1 * g
        self.m = 0.5 * self.m + rate * g / np.sqrt(self.v - self.mean**2 + 1e-7)
        return w - self.m


class Adagrad(Paper):
    def start(self, weights):
        self.v += 0.1

    def update(self, w, g, rate, t):
        self.v = self.v + g**2
        return w - rate * g / np.sqrt(self.v + 1e-7)


class Adafactor(Paper):
    relative = True

    def start(self, weights):
        self.rows = self.columns = 0.0

    def update(self, w, g, rate, t):
        beta, square = 1 - t**-0.8, g**2 + 1e-30
        if g.ndim < 2:
            self.v = beta * self.v + (1 - beta) * square
        else:
            self.rows = beta * self.rows + (1 - beta) * square.sum(-1, keepdims=True)
            self.columns = beta * self.columns + (1 - beta) * square.sum(-2, keepdims=True)
            self.v = self.rows * self.columns / self.rows.sum(-2, keepdims=True)
        direction = g / np.sqrt(self.v)
        direction = direction / max(1.0, rms(direction))
        if self.relative:
            rate = max(1e-3, rms(w)) * min(rate, 1 / math.sqrt(t))
        return w - rate * direction


class AbsoluteAdafactor(Adafactor):
    relative = False


def rms(array):
    return math.sqrt(np.mean(array**2))


class Muon(Adam):
    def update(self, w, g, rate, t):
        if w.ndim < 2:
            return super().update(w, g, rate, t)
        self.m = 0.95 * self.m + g
        # A kernel is one matrix of all that an output sees.
        x = (g + 0.95 * self.m).reshape(-1, w.shape[-1])
        x = x / np.linalg.norm(x)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return w - rate * 0.2 * math.sqrt(max(x.shape)) * x.reshape(w.shape)


class ScheduleFree(Paper):
    beta_1, epsilon = 0.9, 1e-8

    def start(self, weights):
        self.z, self.x, self.total = weights.copy(), weights.copy(), 0.0

    def step(self, y, g, rate, decay, t):
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * g**2
        root = np.sqrt(self.v / (1 - self.beta_2**t)) + self.epsilon
        self.z = self.z - rate * g / root - rate * decay * y
        self.total += rate**2
        share = rate**2 / self.total
        self.x = (1 - share) * self.x + share * self.z
        return 0.1 * self.z + 0.9 * self.x


PAPERS = [
    ("sgd", {}, Sgd),
    ("sgd", {"nesterov": True}, Nesterov),
    ("adam", {}, Adam),
    ("adam", {"amsgrad": True}, Amsgrad),
    ("adamw", {}, Adam),
    ("nadam", {}, Nadam),
    ("lamb", {}, Lamb),
    ("lion", {}, Lion),
    ("rmsprop", {}, RmsProp),
    ("rmsprop", {"centered": True, "momentum": 0.5}, CenteredRmsProp),
    ("adagrad", {}, Adagrad),
    ("adafactor", {"relative": True}, Adafactor),
    ("adafactor", {}, AbsoluteAdafactor),
    ("muon", {}, Muon),
    ("schedule_free_adamw", {}, ScheduleFree),
]


def expected_updates(paper):
    states = [paper(w) for w in WEIGHTS]
    weights, history = [w.copy() for w in WEIGHTS], []
    for step in range(STEPS):
        weights = [
            state.step(w, g, TABLE[step] * r, d * FACTOR[step], step + 1)
            for state, w, g, r, d in zip(
                states, weights, GRADIENTS[step], RATES, DECAYS, strict=True
            )
        ]
        history.append(weights)
    return history, states


def rated(built, trained, **tables):
    return with_rates(built, trained, RATES, DECAYS, **{"decay_factor": FACTOR, **tables})


def tensors(step):
    return [tf.constant(g, tf.float32) for g in GRADIENTS[step]]


def run(optimizer, trained, compiled=True):
    history = []
    apply = tf.function(optimizer.apply) if compiled else optimizer.apply
    for step in range(STEPS):
        apply(tensors(step))
        history.append([v.numpy() for v in trained])
    return history


def assert_same_moves(history, expected, rtol=1e-5):
    """Each change since the start is right to `rtol` of its variable's largest change."""
    for weights, right in zip(history, expected, strict=True):
        for w, e, start in zip(weights, right, WEIGHTS, strict=True):
            largest = np.abs(e - start).max()
            np.testing.assert_allclose(w - start, e - start, rtol=rtol, atol=rtol * largest + 3e-7)


def test_every_optimizer_has_a_paper():
    assert {name for name, *_ in PAPERS} == set(NAMES)


@pytest.mark.parametrize(("name", "changes", "paper"), PAPERS)
def test_five_updates_equal_the_paper_in_float64(name, changes, paper):
    trained = variables()
    optimizer = rated(option(name, **changes).build(TableSchedule(TABLE)), trained)
    assert_same_moves(run(optimizer, trained), expected_updates(paper)[0])


@pytest.mark.parametrize("name", ["sgd", "muon", "schedule_free_adamw"])
def test_eager_updates_equal_the_paper(name):
    trained = variables()
    optimizer = rated(option(name).build(TableSchedule(TABLE)), trained)
    paper = {n: p for n, _, p in reversed(PAPERS)}[name]
    assert_same_moves(run(optimizer, trained, compiled=False), expected_updates(paper)[0])


def test_schedule_free_evaluates_the_average():
    trained = variables()
    optimizer = rated(option("schedule_free_adamw").build(TableSchedule(TABLE)), trained)
    run(optimizer, trained)
    states = expected_updates(ScheduleFree)[1]
    assert_same_moves([[w.numpy() for w in evaluation_weights(optimizer)]], [[s.x for s in states]])
    assert evaluation_weights(rated(option("sgd").build(), variables())) is None


def test_a_matrix_that_muon_excludes_gets_adamw():
    layer = keras.layers.Dense(3, name="head_logits")
    layer.build((None, 4))
    layer.kernel.assign(WEIGHTS[0])
    optimizer = with_rates(option("muon").build(TableSchedule(TABLE)), [layer.kernel], [1], [0])
    state, weights = Adam(WEIGHTS[0]), WEIGHTS[0]
    for step in range(STEPS):
        optimizer.apply(tensors(step)[:1])
        weights = state.update(weights, GRADIENTS[step][0], TABLE[step], step + 1)
    np.testing.assert_allclose(layer.kernel.numpy(), weights, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "kept"), [("sgd", "momentum"), ("adamw", "beta_1")])
def test_a_momentum_table_is_read_at_each_step(name, kept):
    table = np.array([0.95, 0.9, 0.85, 0.9, 0.95])
    trained = variables()
    optimizer = rated(option(name).build(TableSchedule(TABLE)), trained, momentum=table)
    history = run(optimizer, trained)
    weights = [w.copy() for w in WEIGHTS]
    m, v = [[np.zeros_like(w) for w in weights] for _ in range(2)]
    expected = []
    for step, beta in enumerate(table):
        t = step + 1
        for i, g in enumerate(GRADIENTS[step]):
            rate = TABLE[step] * RATES[i]
            weights[i] = weights[i] * (1 - rate * DECAYS[i] * FACTOR[step])
            if kept == "momentum":
                m[i] = beta * m[i] - rate * g
                weights[i] = weights[i] + m[i]
                continue
            m[i] = beta * m[i] + (1 - beta) * g
            v[i] = 0.999 * v[i] + 0.001 * g**2
            alpha = rate * math.sqrt(1 - 0.999**t) / (1 - beta**t)
            weights[i] = weights[i] - alpha * m[i] / (np.sqrt(v[i]) + 1e-7)
        expected.append(list(weights))
    assert_same_moves(history, expected)


def test_a_momentum_table_leaves_sgd_without_momentum_alone():
    trained = variables()
    built = option("sgd", momentum=0.0).build(TableSchedule([0.1]))
    optimizer = with_rates(built, trained, (1, 1, 1), (0, 0, 0), momentum=[0.9, 0.8])
    run(optimizer, trained)
    expected = WEIGHTS[1] - 0.1 * sum(g[1] for g in GRADIENTS)
    np.testing.assert_allclose(trained[1].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_takes_a_momentum_table(name):
    trained = variables()
    optimizer = rated(
        option(name).build(TableSchedule(TABLE)), trained, momentum=np.linspace(0.95, 0.85, STEPS)
    )
    assert all(np.all(np.isfinite(w)) for w in run(optimizer, trained)[-1])


@pytest.mark.parametrize("name", NAMES)
def test_restored_variables_continue_bit_for_bit(name):
    trained = variables()
    factor = keras.Variable(1.0, trainable=False, name="factor")
    optimizer = rated(option(name).build(TableSchedule(TABLE, factor)), trained)
    for step in range(3):
        optimizer.apply(tensors(step))
    factor.assign(0.5)
    saved = [v.numpy() for v in optimizer.variables], [v.numpy() for v in trained]
    for step in range(3, STEPS):
        optimizer.apply(tensors(step))
    again = variables()
    factor_again = keras.Variable(1.0, trainable=False, name="factor")
    resumed = rated(option(name).build(TableSchedule(TABLE, factor_again)), again)
    assert len(resumed.variables) == len(saved[0])
    for target, value in zip([*resumed.variables, *again], saved[0] + saved[1], strict=True):
        target.assign(value)
    for step in range(3, STEPS):
        resumed.apply(tensors(step))
    for a, b in zip(trained, again, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_number_is_a_rate_too_and_missing_gradients_change_nothing():
    trained = variables()
    optimizer = with_rates(
        option("sgd", learning_rate=0.1, momentum=0.0).build(), trained, (1, 1, 1), (1, 1, 1)
    )
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, tensors(0)[1], tensors(0)[2]])
    np.testing.assert_array_equal(trained[0].numpy(), WEIGHTS[0].astype(np.float32))
    expected = WEIGHTS[1] * 0.9 - 0.1 * GRADIENTS[0][1]
    np.testing.assert_allclose(trained[1].numpy(), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("sgd", "learning_rate", 0.0), ("sgd", "momentum", 1.0), ("sgd", "scaling", "cubic"),
        ("adamw", "weight_decay", -1.0), ("adamw", "weight_decay_end", -1.0),
        ("adamw", "beta_1", 1.0), ("adamw", "epsilon", 0.0), ("adam", "clip_norm", 0.0),
        ("adam", "clip_value", -1.0), ("adam", "agc", 0.0), ("adam", "sam", 0.0),
        ("adam", "ema", 1.0), ("adam", "swa", -0.1), ("muon", "ns_steps", 0),
        ("muon", "rms_rate", 0.0), ("adafactor", "beta_2_decay", 0.0), ("lion", "beta_1", 0.0),
        ("adagrad", "initial_accumulator_value", -1.0), ("rmsprop", "rho", 1.0),
        ("schedule_free_adamw", "beta_1", 0.0),
    ],
)  # fmt: skip
def test_ranges_are_refused_at_their_place(name, field, value):
    with pytest.raises(ConfigError, match=rf"^optimizer\.{field}: got "):
        option(name, **{field: value})
