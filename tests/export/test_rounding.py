"""Weights are fitted to 8 bits; the file that a converter makes is the judge."""

import keras
import numpy as np
import pytest
from onnx import TensorProto, load

from tlcli.data.resize import Resize
from tlcli.export import network as networks
from tlcli.export import rounding
from tlcli.export.contract import Format, Wanted
from tlcli.export.formats import litert, onnx
from tlcli.models.preprocessing import preprocess

SIDE = 16


@pytest.fixture(scope="module")
def images():
    coarse = np.random.default_rng(0).integers(0, 256, (96, 4, 4, 3))
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def network(seed=0):
    """A small one whose kernels have outliers, which take steps of the scale from the others."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    given = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="images")
    x = layers.Rescaling(1 / 127.5, -1, name="pixels")(given)
    x = layers.ReLU(6, name="first_relu")(layers.Conv2D(12, 3, strides=2, name="first")(x))
    x = layers.ReLU(6, name="own_relu")(layers.DepthwiseConv2D(3, padding="same", name="own")(x))
    x = layers.ReLU(6, name="mix_relu")(layers.Conv2D(16, 1, name="mix")(x))
    logits = layers.Dense(5, name="head")(layers.GlobalAveragePooling2D(name="pool")(x))
    made = keras.Model(given, answers(logits))
    rng = np.random.default_rng(seed)
    for name in ("own", "mix", "head"):
        kernel, bias = made.get_layer(name).get_weights()
        spread = np.exp(rng.normal(0, 1.5, kernel.shape)).astype(np.float32)
        made.get_layer(name).set_weights([kernel * spread, bias + 0.1])
    return made


def answers(logits):
    """The outputs that an export has."""
    both = {"logits": logits, "probabilities": keras.ops.softmax(logits)}
    return {name: keras.layers.Identity(name=name)(value) for name, value in both.items()}


def logits_of(call, images):
    return call(images)["logits"]


def as_file(net, images, folder, kind: Format = litert.FORMAT, quantize="int8"):
    """Logits of the file, which is computed in whole numbers unless told otherwise."""
    folder.mkdir()
    wanted = Wanted(net, Resize(SIDE, "crop", 1.0, True), 10**6, quantize, images)
    kind.write(wanted, folder)
    calls = kind.engine(folder)
    return np.concatenate([logits_of(calls, image[None]) for image in images])


def apart(given, wanted):
    """Mean difference, in standard deviations of what is wanted."""
    return np.abs(given - wanted).mean() / wanted.std()


@pytest.mark.slow
def test_a_fitted_file_is_nearer_to_the_network_and_the_network_stays(images, tmp_path):
    net = network()
    before = [w.copy() for w in net.get_weights()]
    wanted = logits_of(networks.engine(net), images)
    errors = []
    for steps in (0, 60):
        given = as_file(rounding.fitted(net, images, steps), images, tmp_path / str(steps))
        errors.append(np.sqrt(np.mean((given - wanted) ** 2)))
    assert errors[1] < 0.9 * errors[0]
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [litert.FORMAT, onnx.FORMAT], ids=lambda kind: kind.name)
def test_channels_that_change_places_keep_their_scale(images, tmp_path, kind):
    given = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="images")
    pixels = preprocess(keras.layers.Rescaling(1.0, name="pixels")(given), "caffe")
    x = keras.layers.Conv2D(12, 3, strides=2, activation="relu", name="first")(pixels)
    logits = keras.layers.Dense(5, name="head")(keras.layers.GlobalAveragePooling2D()(x))
    net = keras.Model(given, answers(logits))
    wanted = logits_of(networks.engine(net), images)
    assert apart(as_file(net, images, tmp_path / "int8", kind), wanted) < 0.1


def test_sums_of_large_products_do_not_overflow(images, tmp_path):
    given = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 255, name="pixels")(given)
    x = keras.layers.Conv2D(64, 3, strides=2, activation="relu", name="first")(x)
    x = keras.layers.Conv2D(64, 1, activation="relu", name="second")(x)
    net = keras.Model(given, answers(keras.layers.GlobalAveragePooling2D()(x)))
    kernel, bias = net.get_layer("second").get_weights()
    # All of one sign, and inputs near their most: two products are more than 16 bits hold.
    net.get_layer("second").set_weights([np.abs(kernel) + np.abs(kernel).max(), bias])
    kernel, bias = net.get_layer("first").get_weights()
    net.get_layer("first").set_weights([np.abs(kernel), bias])
    light = np.maximum(images, 200)
    wanted = logits_of(networks.engine(net), light)
    assert apart(as_file(net, light, tmp_path / "int8", onnx.FORMAT), wanted) < 0.1


def test_dynamic_onnx_has_a_scale_for_each_channel(images, tmp_path):
    net = network(5)
    kernel, bias = net.get_layer("mix").get_weights()
    net.get_layer("mix").set_weights([kernel * np.logspace(-3, 0, 16, dtype=np.float32), bias])
    wanted = logits_of(networks.engine(net), images)
    given = as_file(net, images, tmp_path / "dynamic", onnx.FORMAT, "dynamic")
    plain = as_file(net, images, tmp_path / "plain", onnx.FORMAT, "none")
    assert apart(plain, wanted) < 1e-5 < apart(given, wanted) < 0.03
    kept = load(tmp_path / "dynamic" / onnx.FILE).graph.initializer
    large = [one for one in kept if np.prod(one.dims) > 50]
    assert large
    assert all(one.data_type == TensorProto.INT8 for one in large)


def test_without_steps_the_answers_are_the_same(images):
    net = network(1)
    copy = rounding.fitted(net, images, 0)
    assert copy.get_layer("mix") is not net.get_layer("mix")
    np.testing.assert_array_equal(*(logits_of(networks.engine(n), images) for n in (net, copy)))


def test_the_layer_that_cannot_be_rounded_is_named_first(images):
    net = network(2)
    kernel, bias = net.get_layer("mix").get_weights()
    # Weights of one input are a thousand times larger, and that input is always zero.
    kernel[0, 0, 0] = 1000 * np.abs(kernel).max()
    own, own_bias = net.get_layer("own").get_weights()
    own[:, :, 0], own_bias[0] = 0, -1
    net.get_layer("own").set_weights([own, own_bias])
    net.get_layer("mix").set_weights([kernel, bias])
    assert rounding.worst(net, images)[0] == "mix"


def test_ranges_are_those_of_what_flows_with_zero_among_them(images):
    net = network(3)
    graph = rounding.trace(net)
    found = rounding.ranges_of(graph, images)
    named = {call.layer.name: found[call.outputs[0]] for call in graph.calls}
    inner = keras.Model(net.inputs, net.get_layer("first_relu").output)(images).numpy()
    assert named["first_relu"] == pytest.approx((0.0, float(inner.max())))
    low, high = named["head"]
    head = logits_of(networks.engine(net), images)
    assert (low, high) == pytest.approx((min(head.min(), 0), max(head.max(), 0)), rel=1e-5)
