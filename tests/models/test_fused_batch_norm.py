import keras
import numpy as np
import pytest
import tensorflow as tf

from tlcli.models.fused_batch_norm import FusedBatchNormalization, use_fused, use_keras

PLAIN = keras.layers.BatchNormalization


def layer_with_weights(kind, shape=(None, 5, 6, 7), **options):
    layer = kind(**options)
    layer.build(shape)
    random = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(random.uniform(0.5, 1.5, weight.shape))
    return layer


def results(layer, batches, training, compiled):
    """Outputs and gradients of every step, then the layer's weights; all float32."""

    def step(images, upstream):
        images = tf.cast(images, layer.compute_dtype)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training)
            total = tf.reduce_sum(tf.cast(outputs, "float32") * upstream)
        variables = [weight.value for weight in layer.trainable_variables]
        return [outputs, *tape.gradient(total, [images, *variables])]

    run = tf.function(step) if compiled else step
    found = [run(images, upstream) for images, upstream in batches]
    return [tf.cast(x, "float32").numpy() for step in found for x in step] + [
        weight.numpy() for weight in layer.weights
    ]


def assert_same(kind_options, shape=(4, 5, 6, 7), training=True, compiled=False, tolerance=1e-5):
    random = np.random.default_rng(0)
    batches = [
        (random.normal(2, 3, shape).astype("float32"), random.normal(size=shape).astype("float32"))
        for _ in range(3)
    ]
    pair = [
        layer_with_weights(kind, (None, *shape[1:]), **kind_options)
        for kind in (PLAIN, FusedBatchNormalization)
    ]
    wanted, given = (results(layer, batches, training, compiled) for layer in pair)
    for a, b in zip(wanted, given, strict=True):
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1, np.abs(a).max()))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_outputs_gradients_and_statistics_equal_those_of_keras(policy, training, compiled):
    # One bfloat16 step of the output is 2**-8 of it; statistics and weights stay float32.
    tolerance = 1e-5 if policy == "float32" or training else 2**-8
    assert_same({"dtype": policy}, training=training, compiled=compiled, tolerance=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"center": False},
        {"scale": False},
        {"center": False, "scale": False},
        {"momentum": 0.5, "epsilon": 1e-2},
        {"epsilon": 1e-6},
        {"axis": 1},
        {"axis": 3},
        {"renorm": True},
        {"synchronized": True},
        {"trainable": False},
    ],
    ids=str,
)
def test_every_option_equals_keras(options):
    assert_same(options)


@pytest.mark.parametrize("shape", [(1, 1, 1, 7), (1, 1, 2, 7), (8, 7), (3, 4, 7)], ids=str)
def test_every_shape_equals_keras(shape):
    assert_same({}, shape=shape)


def test_moving_variance_by_hand():
    # Values 0 and 2: mean 1, biased variance 1 (unbiased 2); momentum 0.75 from 0 and 1.
    layer = FusedBatchNormalization(momentum=0.75)
    layer(np.array([0.0, 2.0], "float32").reshape(2, 1, 1, 1), training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), [0.25])
    np.testing.assert_allclose(layer.moving_variance.numpy(), [1.0])


def test_the_fused_kernel_is_what_runs():
    layer = layer_with_weights(FusedBatchNormalization)
    traced = tf.function(lambda x: layer(x, training=True)).get_concrete_function(
        tf.TensorSpec((2, 5, 6, 7))
    )
    assert "FusedBatchNormV3" in {op.type for op in traced.graph.get_operations()}


def test_compiled_with_xla_equals_keras():
    images = np.random.default_rng(0).normal(size=(4, 5, 6, 7)).astype("float32")
    pair = [layer_with_weights(kind) for kind in (PLAIN, FusedBatchNormalization)]
    for layer in pair:
        tf.function(lambda x, layer=layer: layer(x, training=True), jit_compile=True)(images)
    for a, b in zip(*(layer.weights for layer in pair), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


def small_model():
    keras.utils.set_random_seed(3)
    inner = keras.Sequential([keras.layers.Conv2D(4, 3), PLAIN(name="inner")], name="net")
    images = keras.Input((6, 6, 3))
    features = PLAIN(name="outer", momentum=0.9)(inner(images))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(features))


def test_a_fitted_model_equals_keras():
    random = np.random.default_rng(0)
    images = random.normal(size=(8, 6, 6, 3)).astype("float32")
    weights = []
    for swap in (False, True):
        model = small_model()
        if swap:
            assert sorted(use_fused(model)) == ["inner", "outer"]
        model.compile("sgd", "mse")
        model.fit(images, np.ones((8, 4)), epochs=3, batch_size=4, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_swapping_back_leaves_keras_layers():
    model = small_model()
    use_fused(model)
    use_keras(model)
    assert type(model.get_layer("outer")) is PLAIN
    assert "Fused" not in model.to_json()


def test_a_saved_fused_model_loads(tmp_path):
    model = small_model()
    use_fused(model)
    model.save(tmp_path / "m.keras")
    images = np.ones((2, 6, 6, 3), "float32")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(images), model(images), rtol=1e-6)
