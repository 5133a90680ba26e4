import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from tlcli.config import registry
from tlcli.errors import ConfigError

NAMES = sorted(p.stem for p in (registry.config_root() / "loss").glob("*.yaml"))
CLASSES = ["cat", "dog", "owl"]
COUNTS = np.array([60, 30, 10])


def option(name, **changes):
    path = registry.config_root() / "loss" / f"{name}.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    return registry.build("loss", json.loads(json.dumps(values | changes)))


def losses(name, labels, logits, **changes):
    prepared = option(name, **changes).prepared(COUNTS, CLASSES)
    result = prepared.loss(np.array(labels, np.float32), np.array(logits, np.float32))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    return keras.ops.convert_to_numpy(result)


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 3)) * 3
SOFT = RANDOM.dirichlet(np.ones(3), size=6)
HOT = (RANDOM.random((6, 3)) < 0.5).astype(float)


def focal_softmax(labels, logits, gamma):
    log_p = log_softmax(logits)
    return -(labels * (1 - np.exp(log_p)) ** gamma * log_p).sum(-1)


def focal_sigmoid(labels, logits, gamma, balance):
    p = sigmoid(logits)
    yes = balance * labels * (1 - p) ** gamma * np.log(p)
    no = (1 - balance) * (1 - labels) * p**gamma * np.log(1 - p)
    return -(yes + no).sum(-1)


def asymmetric(labels, logits, gamma_neg, gamma_pos, clip):
    p = sigmoid(logits)
    shifted = np.maximum(p - clip, 0)
    yes = labels * (1 - p) ** gamma_pos * np.log(p)
    no = (1 - labels) * shifted**gamma_neg * np.log(1 - shifted)
    return -(yes + no).sum(-1)


def bce(labels, logits):
    p = sigmoid(logits)
    return -(labels * np.log(p) + (1 - labels) * np.log(1 - p))


BALANCED = 100 / (3 * COUNTS)
EFFECTIVE = (1 - 0.9**COUNTS) / (1 - 0.9)
CUI = (1 / EFFECTIVE) * 100 / np.sum(COUNTS / EFFECTIVE)
CE = -(SOFT * log_softmax(LOGITS)).sum(-1)


@pytest.mark.parametrize(
    ("name", "changes", "labels", "expected"),
    [
        ("cross_entropy", {"label_smoothing": 0.0}, SOFT, CE),
        ("cross_entropy", {"label_smoothing": 0.3}, SOFT,
         -((SOFT * 0.7 + 0.1) * log_softmax(LOGITS)).sum(-1)),
        ("cross_entropy", {"label_smoothing": 0.0, "class_weight": "balanced"}, SOFT,
         CE * (SOFT * BALANCED).sum(-1)),
        # Weights 1, 4, 1 have a mean of (60 + 120 + 10) / 100 = 1.9 over the images.
        ("cross_entropy", {"label_smoothing": 0.0, "class_weight": {"dog": 4.0}}, SOFT,
         CE * (SOFT * [1, 4, 1]).sum(-1) / 1.9),
        ("bce", {"reduction": "mean"}, HOT, bce(HOT, LOGITS).mean(-1)),
        ("bce", {"reduction": "sum"}, SOFT, bce(SOFT, LOGITS).sum(-1)),
        ("bce", {"label_smoothing": 0.2}, HOT, bce(HOT * 0.8 + 0.1, LOGITS).mean(-1)),
        # Weights 1, 4, 1 have a mean of 2 over the classes.
        ("bce", {"class_weight": {"dog": 4}}, HOT, (bce(HOT, LOGITS) * [0.5, 2, 0.5]).mean(-1)),
        ("bce", {"class_weight": "balanced"}, HOT,
         (bce(HOT, LOGITS) * [0.3, 0.6, 1.8] * np.array(1 / 0.9)).mean(-1)),
        ("focal", {}, SOFT, focal_softmax(SOFT, LOGITS, 2.0)),
        ("focal", {"gamma": 0.0}, SOFT, CE),
        ("focal", {"gamma": 0.5, "class_weight": "balanced"}, SOFT,
         focal_softmax(SOFT, LOGITS, 0.5) * (SOFT * BALANCED).sum(-1)),
        ("focal", {"kind": "sigmoid", "balance": 0.25}, HOT,
         focal_sigmoid(HOT, LOGITS, 2.0, 0.25)),
        ("focal", {"kind": "sigmoid", "gamma": 0.0}, HOT, bce(HOT, LOGITS).sum(-1)),
        ("asymmetric", {}, HOT, asymmetric(HOT, LOGITS, 4.0, 1.0, 0.05)),
        ("asymmetric", {"clip": 0.0, "gamma_neg": 0, "gamma_pos": 0}, HOT,
         bce(HOT, LOGITS).sum(-1)),
        ("class_balanced", {"beta": 0.9}, SOFT, CE * (SOFT * CUI).sum(-1)),
        ("class_balanced", {"beta": 0.0}, SOFT, CE),
        ("logit_adjusted", {}, SOFT,
         -(SOFT * log_softmax(LOGITS + np.log(COUNTS / 100))).sum(-1)),
        ("logit_adjusted", {"strength": 0.0}, SOFT, CE),
    ],
)  # fmt: skip
def test_values_equal_float64(name, changes, labels, expected):
    np.testing.assert_allclose(losses(name, labels, LOGITS, **changes), expected, rtol=2e-5)


def test_cross_entropy_by_hand():
    # Logits (log 3, 0) give (3/4, 1/4); smoothing 0.2 makes the label (0.9, 0.1).
    logits = [[math.log(3), 0.0, -1e4]]
    value = losses("cross_entropy", [[1, 0, 0]], logits, label_smoothing=0.0)
    np.testing.assert_allclose(value, [math.log(4 / 3)], rtol=1e-6)


def test_focal_by_hand():
    # Probability 1/2 at gamma 2: a quarter of log 2.
    value = losses("focal", [[1, 0, 0]], [[0.0, 0.0, -1e4]])
    np.testing.assert_allclose(value, [math.log(2) / 4], rtol=1e-6)


def test_asymmetric_by_hand():
    # All logits 0: the positive costs log(2) / 2, a negative 0.45 ** 4 * -log(0.55).
    value = losses("asymmetric", [[1, 0, 0]], [[0.0, 0.0, 0.0]])
    np.testing.assert_allclose(value, [math.log(2) / 2 - 2 * 0.45**4 * math.log(0.55)], rtol=1e-6)


def test_an_easy_negative_costs_nothing_in_the_asymmetric_loss():
    np.testing.assert_allclose(losses("asymmetric", [[0, 0, 0]], [[-4.0] * 3]), [0], atol=1e-20)


def test_class_weights_of_a_mixed_label_by_hand():
    # Logits (log 3, 0) give (3/4, 1/4). Weights 1, 4 and 1 have a mean of 1.9 over 60, 30 and 10
    # images; three parts cat and seven parts dog weigh (0.3 * 1 + 0.7 * 4) / 1.9.
    logits, label = [[math.log(3), 0.0, -1e4]], [[0.3, 0.7, 0.0]]
    changes = {"label_smoothing": 0.0, "class_weight": {"dog": 4.0}}
    entropy = 0.3 * math.log(4 / 3) + 0.7 * math.log(4)
    expected = entropy * (0.3 * 1 + 0.7 * 4) / 1.9
    np.testing.assert_allclose(
        losses("cross_entropy", label, logits, **changes), [expected], rtol=1e-6
    )


def test_weights_have_a_mean_of_one_over_the_training_set():
    for name, changes in [
        ("cross_entropy", {"class_weight": "balanced"}),
        ("cross_entropy", {"class_weight": {"owl": 7.0, "cat": 0.5}}),
        ("class_balanced", {"beta": 0.99}),
    ]:
        weights = option(name, **changes).prepared(COUNTS, CLASSES).per_class
        assert np.sum(weights * COUNTS) / 100 == pytest.approx(1, rel=1e-12)


def test_an_empty_class_has_no_weight_and_no_infinity():
    counts = np.array([5, 0, 15])
    for name, changes in [("cross_entropy", {"class_weight": "balanced"}), ("class_balanced", {})]:
        weights = option(name, **changes).prepared(counts, CLASSES).per_class
        assert weights[1] == 0
        assert np.sum(weights * counts) / 20 == pytest.approx(1)
    shift = option("logit_adjusted").prepared(counts, CLASSES).per_class
    assert np.all(np.isfinite(shift))


EVERY = [
    *[(name, {}) for name in NAMES],
    ("focal", {"kind": "sigmoid", "gamma": 0.5}),
    ("focal", {"gamma": 0.5}),
    ("asymmetric", {"clip": 0.0, "detach_focus": False}),
    ("asymmetric", {"gamma_neg": 0.5, "gamma_pos": 0.5}),
    ("cross_entropy", {"class_weight": "balanced"}),
]


@pytest.mark.parametrize(("name", "changes"), EVERY)
def test_logits_of_a_hundred_give_finite_losses_and_gradients(name, changes):
    logits = tf.constant([[100.0, -100.0, 0.0], [-100.0, 100.0, 100.0], [0.0, 0.0, 0.0]])
    labels = tf.constant([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]])
    prepared = option(name, **changes).prepared(COUNTS, CLASSES)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        values = prepared.loss(labels, logits)
    gradients = tape.gradient(values, logits)
    assert np.all(np.isfinite(values))
    assert np.all(np.isfinite(gradients))
    assert values[1] > 10 * max(values[0], 0.1)


def test_a_confident_wrong_image_is_not_clipped():
    value = losses("cross_entropy", [[1, 0, 0]], [[0, 100, 0]], label_smoothing=0.0)
    np.testing.assert_allclose(value, [100.0], rtol=1e-6)
    value = losses("bce", [[1, 0, 0]], [[-100, -100, 100]], reduction="sum")
    np.testing.assert_allclose(value, [200.0], rtol=1e-6)


DETACHED = [(n, c) for n, c in EVERY if n == "asymmetric" and c.get("detach_focus", True)]


@pytest.mark.parametrize(("name", "changes"), DETACHED)
def test_asymmetric_gradient_with_constant_focal_factors(name, changes):
    changes = {"gamma_neg": 4.0, "gamma_pos": 1.0, "clip": 0.05, **changes}
    tensor = tf.constant(LOGITS / 3, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        total = tf.reduce_sum(option(name, **changes).prepared(COUNTS, CLASSES).loss(HOT, tensor))
    p = sigmoid(LOGITS / 3)
    shifted = np.maximum(p - changes["clip"], 0)
    # d -log p = -(1 - p); d -log(1 - s) = p (1 - p) / (1 - s) where the clip does not hold s at 0.
    yes = -HOT * (1 - p) ** changes["gamma_pos"] * (1 - p)
    no = (1 - HOT) * shifted ** changes["gamma_neg"] * p * (1 - p) / (1 - shifted) * (shifted > 0)
    np.testing.assert_allclose(tape.gradient(total, tensor), yes + no, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "changes"), [case for case in EVERY if case not in DETACHED])
def test_gradients_equal_finite_differences(name, changes):
    prepared = option(name, **changes).prepared(COUNTS, CLASSES)
    labels = SOFT if prepared.activation == "softmax" else HOT
    logits = LOGITS / 3
    tensor = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        total = tf.reduce_sum(prepared.loss(labels, tensor))
    gradient = tape.gradient(total, tensor).numpy()
    step = 1e-2

    def total_at(index, change):
        moved = logits.copy()
        moved[index] += change
        return float(np.sum(np.float64(prepared.loss(labels, moved))))

    for index in [(0, 0), (1, 2), (3, 1)]:
        slope = (total_at(index, step) - total_at(index, -step)) / (2 * step)
        assert gradient[index] == pytest.approx(slope, rel=5e-3, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_give_float32(name):
    prepared = option(name).prepared(COUNTS, CLASSES)
    value = prepared.loss(tf.constant(HOT), tf.constant(LOGITS, tf.bfloat16))
    assert value.dtype == tf.float32


def test_activation_and_label_kind_are_told():
    told = {n: (o.activation, o.multi_label) for n in NAMES for o in [option(n)]}
    assert told == {
        "asymmetric": ("sigmoid", True),
        "bce": ("sigmoid", None),
        "class_balanced": ("softmax", False),
        "cross_entropy": ("softmax", False),
        "focal": ("softmax", False),
        "logit_adjusted": ("softmax", False),
    }
    assert option("focal", kind="sigmoid").prepared(COUNTS, CLASSES).activation == "sigmoid"


def test_an_unknown_class_name_is_refused_with_the_nearest():
    loss = option("cross_entropy", class_weight={"cta": 2.0})
    with pytest.raises(ConfigError, match=r"loss\.class_weight: no class .*'cta'.*mean cat\?$"):
        loss.prepared(COUNTS, CLASSES)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cross_entropy", "label_smoothing", 1.0), ("cross_entropy", "class_weight", "balance"),
        ("cross_entropy", "class_weight", {"cat": -1.0}), ("focal", "gamma", -1.0),
        ("focal", "balance", 0.25), ("asymmetric", "clip", 1.0), ("class_balanced", "beta", 1.0),
        ("logit_adjusted", "strength", -1.0), ("bce", "reduction", "max"),
    ],
)  # fmt: skip
def test_ranges_are_refused_at_their_place(name, field, value):
    with pytest.raises(ConfigError, match=rf"^loss\.{field}.*: got "):
        option(name, **{field: value})


def test_a_loss_that_needs_the_training_set_says_so():
    for loss in [option("class_balanced"), option("cross_entropy", class_weight="balanced")]:
        with pytest.raises(ValueError, match="prepared"):
            loss.loss(SOFT, LOGITS)
    np.testing.assert_allclose(option("focal").loss(SOFT, LOGITS), focal_softmax(SOFT, LOGITS, 2.0),
                               rtol=1e-5)  # fmt: skip
