import logging

import keras
import numpy as np
import pytest

from tlcli.models import fold
from tlcli.models.fused_batch_norm import FusedBatchNormalization, use_fused

L = keras.layers
IMAGES = np.random.default_rng(5).normal(size=(3, 8, 8, 3)).astype("float32")


def conv_bn_relu(x):
    return L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(5, 3, strides=2, padding="same")(x)))


def depthwise(x):
    x = L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(x)
    return L.BatchNormalization(scale=False)(x)


def separable(x):
    return L.BatchNormalization(center=False)(L.SeparableConv2D(4, 3, depth_multiplier=2)(x))


def grouped(x):
    return L.BatchNormalization()(L.Conv2D(6, 3, groups=3, dilation_rate=2)(x))


def dense(x):
    return L.BatchNormalization()(L.Dense(4, use_bias=False)(L.Flatten()(x)))


def residual(x):
    x = L.Conv2D(4, 1)(x)
    branch = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(x))
    branch = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(L.ReLU()(branch)))
    return L.ReLU()(keras.ops.add(x, branch))


def pre_activation(x):
    return L.Conv2D(4, 3)(L.ReLU()(L.BatchNormalization()(L.ReLU()(L.Conv2D(4, 3)(x)))))


def without_convolution(x):
    return L.BatchNormalization()(x)


def convolution_with_activation(x):
    return L.BatchNormalization()(L.Conv2D(4, 3, activation="relu")(x))


def convolution_used_twice(x):
    x = L.Conv2D(4, 3)(x)
    return L.Add()([L.BatchNormalization()(x), x])


def convolution_is_an_output(x):
    x = L.Conv2D(4, 3)(x)
    return [x, L.BatchNormalization()(x)]


def other_axis(x):
    return L.BatchNormalization(axis=1)(L.Conv2D(4, 3)(x))


def norm_shared_by_two_convolutions(x):
    norm = L.BatchNormalization()
    return L.Add()([norm(L.Conv2D(4, 3)(x)), norm(L.Conv2D(4, 3)(x))])


def convolution_shared_by_two_norms(x):
    convolution = L.Conv2D(3, 3, padding="same")
    first = L.BatchNormalization()(convolution(x))
    return L.BatchNormalization()(convolution(first))


def norm_called_twice_in_a_row(x):
    norm = L.BatchNormalization()
    return norm(norm(L.Conv2D(4, 3)(x)))


def two_norms_in_a_row(x):
    return L.BatchNormalization()(L.BatchNormalization()(L.Conv2D(4, 3)(x)))


def nested(x):
    inner = keras.Sequential([keras.Input(x.shape[1:]), L.Conv2D(3, 1), L.BatchNormalization()])
    return inner(L.BatchNormalization()(L.Conv2D(3, 1)(inner(x))))


def norm_after_a_nested_convolution(x):
    inner = keras.Sequential([keras.Input(x.shape[1:]), L.Conv2D(3, 1)])
    return L.Dropout(0.5)(L.BatchNormalization()(inner(x)))


NETS = {
    conv_bn_relu: 1, depthwise: 1, separable: 1, grouped: 1, dense: 1, residual: 2,
    pre_activation: 0, without_convolution: 0, convolution_with_activation: 0,
    convolution_used_twice: 0, convolution_is_an_output: 0, other_axis: 0,
    norm_shared_by_two_convolutions: 2, convolution_shared_by_two_norms: 2,
    norm_called_twice_in_a_row: 1, two_norms_in_a_row: 1, nested: 2,
    norm_after_a_nested_convolution: 1,
}  # fmt: skip


def scrambled(model, seed=0):
    """The model with no weight left at its initial value."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.uniform(0.3, 1.5, weight.shape) * random.choice([1, -1]))
        if "variance" in weight.name:
            weight.assign(np.abs(weight.numpy()))
    return model


def net(build, **options):
    images = keras.Input((8, 8, 3))
    return scrambled(keras.Model(images, build(images), **options))


def assert_equal_outputs(model, inference):
    wanted = keras.tree.flatten(model(IMAGES, training=False))
    given = keras.tree.flatten(inference(IMAGES, training=False))
    for a, b in zip(wanted, given, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4 * np.abs(a).max())


def folded_norms(inference):
    """How many distinct layers stand for a layer and a normalization."""
    return sum(pair.layer is not None for pair in inference._tlcli_folds.pairs)


@pytest.mark.parametrize(("build", "count"), NETS.items(), ids=lambda x: getattr(x, "__name__", x))
def test_outputs_are_the_models(build, count):
    model = net(build)
    inference = fold.folded(model)
    assert folded_norms(inference) == count
    assert_equal_outputs(model, inference)
    assert not any(type(layer) is L.BatchNormalization for layer in inference.layers)


def test_nothing_of_the_model_changes():
    model = net(residual)
    before, names = model.get_weights(), [layer.name for layer in model.layers]
    inference = fold.folded(model)
    inference(IMAGES, training=True)
    assert [layer.name for layer in model.layers] == names
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_folded_kernel_by_hand():
    # gamma / sqrt(variance + epsilon) = 3 / sqrt(3 + 1) = 1.5; kernel 2, bias 1, mean 5, beta 7:
    # kernel 2 * 1.5 = 3, bias (1 - 5) * 1.5 + 7 = 1.
    images = keras.Input((2, 2, 1))
    norm = L.BatchNormalization(epsilon=1.0)
    model = keras.Model(images, norm(L.Conv2D(1, 1)(images)))
    model.set_weights([np.full((1, 1, 1, 1), 2.0), *np.array([[1.0], [3.0], [7.0], [5.0], [3.0]])])
    kernel, bias = fold.folded(model).get_weights()
    np.testing.assert_allclose(kernel.ravel(), [3.0])
    np.testing.assert_allclose(bias, [1.0])


@pytest.mark.parametrize("build", [residual, pre_activation, depthwise])
def test_refresh_follows_the_model_without_tracing_again(build):
    model = net(build)
    inference = fold.folded(model)
    inference.predict(IMAGES, verbose=0)
    traced = inference.predict_function
    scrambled(model, seed=9)
    stale = inference.predict(IMAGES, verbose=0)
    fold.refresh(inference, model)
    fresh = inference.predict(IMAGES, verbose=0)
    assert inference.predict_function is traced
    wanted = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(fresh, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(stale - wanted).max() > 0.01


def test_layers_of_one_name_in_nested_models_are_refused(caplog):
    caplog.set_level(logging.INFO)
    images = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(3, 1, name="same")])
    model = keras.Model(images, L.BatchNormalization()(L.Conv2D(3, 1, name="same")(inner(images))))
    assert fold.folded(model) is None
    assert "two layers are called same" in caplog.text


def test_refresh_refuses_another_model():
    inference = fold.folded(net(depthwise))
    with pytest.raises(ValueError, match="was not folded from"):
        fold.refresh(inference, net(depthwise))


def test_a_model_without_norms_is_not_folded(caplog):
    caplog.set_level(logging.INFO)
    assert fold.folded(net(lambda x: L.Conv2D(4, 3)(x))) is None
    assert "no batch normalization" in caplog.text


def test_a_wrong_fold_is_refused(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fold, "_is_linear", lambda layer: True)
    assert fold.folded(net(convolution_with_activation)) is None
    assert "outputs would differ" in caplog.text


def test_fused_norms_fold_too():
    model = net(residual)
    use_fused(model)
    inference = fold.folded(model)
    assert folded_norms(inference) == 2
    assert not any(isinstance(x, FusedBatchNormalization) for x in inference.layers)
    assert_equal_outputs(model, inference)


def test_mixed_precision_keeps_its_policy():
    images = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, dtype="mixed_bfloat16")(images)
    model = scrambled(keras.Model(images, L.BatchNormalization(dtype="mixed_bfloat16")(x)))
    inference = fold.folded(model)
    assert inference.layers[-1].compute_dtype == "bfloat16"
    assert inference.layers[-1].kernel.dtype == "float32"


def test_a_mobilenet_is_folded_whole():
    model = scrambled_statistics(
        keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(32, 32, 3))
    )
    inference = fold.folded(model)
    assert folded_norms(inference) == 27
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(inference(images), model(images), rtol=1e-4, atol=1e-7)


def scrambled_statistics(model):
    random = np.random.default_rng(2)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))
    return model


@pytest.mark.parametrize(
    ("padding", "kernel", "stride", "dilation", "kept"),
    [
        (((0, 1), (0, 1)), 3, 2, 1, False),
        (((1, 1), (1, 1)), 3, 1, 1, False),
        (((2, 2), (2, 2)), 3, 1, 2, False),
        (((1, 1), (1, 1)), 3, 2, 1, True),
        (((1, 0), (1, 0)), 3, 2, 1, True),
        (((0, 1), (1, 0)), 3, 2, 1, True),
        (((3, 3), (3, 3)), 7, 2, 1, True),
    ],
)
@pytest.mark.parametrize("kind", [L.Conv2D, L.DepthwiseConv2D])
def test_zeros_around_become_the_padding_of_the_convolution(
    kind, padding, kernel, stride, dilation, kept
):
    def build(x):
        size = (kernel,) if kind is L.DepthwiseConv2D else (5, kernel)
        x = L.ZeroPadding2D(padding)(L.ReLU()(x))
        return L.BatchNormalization()(kind(*size, strides=stride, dilation_rate=dilation)(x))

    model = net(build)
    inference = fold.folded(model)
    assert_equal_outputs(model, inference)
    assert any(type(layer) is L.ZeroPadding2D for layer in inference.layers) == kept


def test_zeros_that_others_see_too_stay():
    def build(x):
        x = L.ZeroPadding2D(1)(x)
        y = L.BatchNormalization()(L.Conv2D(3, 3)(x))
        return L.Add()([y, L.Cropping2D(1)(x)])

    model = net(build)
    inference = fold.folded(model)
    assert_equal_outputs(model, inference)
    assert any(type(layer) is L.ZeroPadding2D for layer in inference.layers)
