import math

import keras
import numpy as np
import pytest
import yaml

from tlcli.config import registry
from tlcli.errors import ConfigError
from tlcli.models.weights import load_exact, save_weights

CONFIGS = registry.config_root() / "head"
STEMS = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
SHAPES = {"maps": (3, 2, 8), "tokens": (5, 8), "vectors": (8,)}


def option(stem, **changes):
    values = yaml.safe_load((CONFIGS / f"{stem}.yaml").read_text())
    return registry.build("head", {**values, **changes})


def build(head, shape, num_classes=4):
    features = keras.Input(shape, name="features")
    return keras.Model(features, list(head.build(features, num_classes)))


def random(*shape, low=-1.0):
    return np.random.default_rng(0).uniform(low, 1, shape).astype("float32")


@pytest.mark.parametrize(
    ("stem", "kind"),
    [(s, k) for s in STEMS for k in SHAPES if (s, k) != ("attention", "vectors")],
)
def test_every_head_takes_maps_tokens_and_vectors(stem, kind):
    model = build(option(stem), SHAPES[kind])
    embedding, logits = model(random(2, *SHAPES[kind]))
    assert (embedding.shape, logits.shape) == ((2, 8), (2, 4))
    assert all(layer.name.startswith("head_") for layer in model.layers[1:])


@pytest.mark.parametrize("stem", STEMS)
def test_logits_are_float32_under_mixed_precision(stem):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(option(stem), SHAPES["maps"])
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output[1].dtype == "float32"
    assert model(random(2, 3, 2, 8))[1].dtype == "float32"


@pytest.mark.parametrize("stem", STEMS)
def test_every_head_comes_back_from_its_weights(stem, tmp_path):
    images = random(2, 3, 2, 8)
    model = build(option(stem, **({} if stem == "cosine" else {"zero_init": False})), (3, 2, 8))
    save_weights(model, tmp_path / "head.weights.h5")
    other = build(option(stem), (3, 2, 8))
    load_exact(other, tmp_path / "head.weights.h5")
    np.testing.assert_array_equal(other(images)[1], model(images)[1])


@pytest.mark.parametrize("stem", [stem for stem in STEMS if stem != "cosine"])
def test_zero_init_starts_with_equal_classes(stem):
    images = random(2, 3, 2, 8)
    assert not np.any(build(option(stem, zero_init=True), (3, 2, 8))(images)[1])
    assert np.any(build(option(stem, zero_init=False), (3, 2, 8))(images)[1])


@pytest.mark.parametrize(("axes", "shape"), [((1, 2), (2, 3, 2, 8)), (1, (2, 5, 8))])
def test_pooling_by_numpy(axes, shape):
    features = random(*shape).astype("float64")
    positive = np.maximum(features, 1e-6)
    expected = {
        "avg": features.mean(axes),
        "max": features.max(axes),
        "avgmax": (features.mean(axes) + features.max(axes)) / 2,
        "gem": np.mean(positive**3, axes) ** (1 / 3),
    }
    for pooling, values in expected.items():
        model = build(option("linear", pooling=pooling), shape[1:])
        np.testing.assert_allclose(model(features)[0], values, rtol=2e-5)


def test_gem_by_hand_and_its_power_is_learned():
    # Positions 1 and 2: ((1 + 8) / 2)^(1/3) = 4.5^(1/3).
    model = build(option("linear", pooling="gem"), (2, 1))
    np.testing.assert_allclose(model(np.array([[[1.0], [2.0]]]))[0], [[4.5 ** (1 / 3)]], rtol=1e-5)
    assert "power" in [weight.name for weight in model.trainable_weights]


def test_cosine_logits_by_hand_and_at_zero():
    model = build(option("cosine", scale=10.0), (2,), num_classes=2)
    model.get_layer("head_logits").kernel.assign([[3.0, 0.0], [4.0, 5.0]])
    # (1, 0) against (3, 4)/5 and (0, 1): 10 * 0.6 and 0; length does not matter.
    for length in (1.0, 100.0):
        np.testing.assert_allclose(model(np.array([[length, 0.0]]))[1], [[6.0, 0.0]], atol=1e-5)
    np.testing.assert_array_equal(model(np.zeros((1, 2)))[1], [[0.0, 0.0]])


def test_random_features_approach_the_gaussian_kernel():
    head = option("kernel", num_features=20000, bandwidth=2.0)
    model = build(head, (3,))
    layer = model.get_layer("head_kernel")
    vectors = random(4, 3)
    features = np.asarray(layer(vectors), "float64")
    squared = ((vectors[:, None] - vectors[None]) ** 2).sum(-1)
    np.testing.assert_allclose(features @ features.T, np.exp(-squared / 8), atol=0.03)
    assert not layer.trainable_weights


def test_fit_sets_the_median_distance():
    # Distances of 0, 3 and 4 on a line: 3, 4 and 1, so the median is 3.
    head = option("kernel", bandwidth=None)
    model = build(head, (2,))
    head.fit(model, np.array([[0, 0], [3, 0], [4, 0]], "float32"))
    assert float(model.get_layer("head_kernel").bandwidth) == pytest.approx(3, rel=1e-6)
    head.fit(model, np.ones((3, 2), "float32"))
    assert float(model.get_layer("head_kernel").bandwidth) == 1
    fixed = option("kernel", bandwidth=2.0)
    model = build(fixed, (2,))
    fixed.fit(model, np.array([[0, 0], [3, 0]], "float32"))
    assert float(model.get_layer("head_kernel").bandwidth) == 2


def test_the_seed_decides_the_random_directions():
    first, same, other = (
        build(option("kernel", seed=seed), (3,)).get_layer("head_kernel").projection.numpy()
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_attention_starts_as_plain_pooling():
    features = random(2, 5, 8)
    model = build(option("attention", num_heads=2), (5, 8))
    np.testing.assert_allclose(model(features)[0], features.mean(1), rtol=1e-5, atol=1e-6)


def test_attention_by_numpy():
    model = build(option("attention", num_heads=2), (5, 8))
    layer = model.get_layer("head_attention")
    draw = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(draw.normal(size=weight.shape))
    features = random(2, 5, 8).astype("float64")
    query, matrices = np.asarray(layer.query, "float64"), layer.matrices
    key, value, output = (np.asarray(matrices[n], "float64") for n in ("key", "value", "output"))
    pooled = np.zeros((2, 8))
    for head in (slice(0, 4), slice(4, 8)):
        scores = (features @ key)[..., head] @ query[head] / math.sqrt(4)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        pooled[:, head] = np.einsum("bt,btw->bw", weights, (features @ value)[..., head])
    expected = features.mean(1) + pooled @ output
    np.testing.assert_allclose(model(features)[0], expected, rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only():
    model = build(option("linear", dropout=0.5, zero_init=False), (8,))
    images = random(4, 8)
    assert np.array_equal(model(images)[1], model(images)[1])
    assert not np.allclose(model(images, training=True)[1], model(images)[1])


def test_the_hidden_layers_are_those_asked_for():
    model = build(option("mlp", hidden=[6, 5], activation="relu"), (8,))
    assert [tuple(w.shape) for w in model.weights] == [(8, 6), (6,), (6, 5), (5,), (5, 4), (4,)]


@pytest.mark.parametrize(
    ("stem", "changes", "message"),
    [
        ("linear", {"dropout": 1.0}, r"^head\.dropout: got 1\.0"),
        ("linear", {"pooling": "mean"}, r"^head\.pooling: got 'mean'"),
        ("mlp", {"hidden": []}, r"^head\.hidden: got \[\]"),
        ("mlp", {"hidden": [0]}, r"^head\.hidden: got \[0\]"),
        ("cosine", {"scale": 0}, r"^head\.scale: got 0"),
        ("kernel", {"bandwidth": -1}, r"^head\.bandwidth: got -1"),
        ("kernel", {"num_features": 0}, r"^head\.num_features: got 0"),
        ("kernel", {"seed": -1}, r"^head\.seed: got -1"),
        ("attention", {"num_heads": 0}, r"^head\.num_heads: got 0"),
    ],
)
def test_bad_values_are_refused(stem, changes, message):
    with pytest.raises(ConfigError, match=message):
        option(stem, **changes)


def test_attention_refuses_what_it_cannot_split():
    with pytest.raises(ConfigError, match=r"^head\.num_heads: got 3\. Give a divisor of .* 8"):
        build(option("attention", num_heads=3), (5, 8))
    with pytest.raises(ConfigError, match=r"^head: got 'attention'\. .*head=linear"):
        build(option("attention"), (8,))
