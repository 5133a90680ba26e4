import keras
import numpy as np
import pytest

from tlcli.errors import ConfigError
from tlcli.models.graph.blocks import blocks
from tlcli.models.graph.cost import flops, parameters
from tlcli.models.graph.split import split
from tlcli.models.graph.stages import stages
from tlcli.models.graph.trace import layer_output, rerun, taps, trace

L = keras.layers
IMAGES = np.random.default_rng(5).normal(size=(3, 8, 8, 3)).astype("float32")


def residual_net():
    """Layers a, b, c in a residual block, an operation, pooling and a head."""
    images = keras.Input((8, 8, 3))
    a = L.Conv2D(4, 3, padding="same", name="a")(images)
    b = L.Conv2D(4, 3, padding="same", activation="relu", name="b")(a)
    c = L.Conv2D(4, 3, padding="same", name="c")(b)
    pooled = L.GlobalAveragePooling2D(name="pool")(keras.ops.relu(a + c))
    return keras.Model(images, L.Dense(2, name="head_logits")(L.Dropout(0.5)(pooled)))


def nested_net():
    inner_images = keras.Input((8, 8, 3))
    x = L.Conv2D(3, 3, padding="same", name="first")(inner_images)
    inner = keras.Model(inner_images, L.Conv2D(3, 1, name="second")(x), name="base")
    images = keras.Input((8, 8, 3))
    wrapped = keras.Sequential([keras.Input((8, 8, 3)), inner], name="wrapped")
    return keras.Model(images, L.Conv2D(2, 1, name="third")(inner(wrapped(images))))


def two_ends():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = L.Dense(3, name="shared")
    both = L.Concatenate(name="both")([shared(left), shared(right)])
    outputs = {"sum": L.Dense(1, name="sum")(both), "both": both}
    return keras.Model({"left": left, "right": right}, outputs)


def assert_same(wanted, given):
    assert keras.tree.flatten_with_path(wanted)[0][0] == keras.tree.flatten_with_path(given)[0][0]
    for a, b in zip(keras.tree.flatten(wanted), keras.tree.flatten(given), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("build", [residual_net, nested_net])
def test_rerun_shares_the_layers(build):
    model = build()
    inputs = keras.Input((8, 8, 3))
    again = keras.Model(inputs, rerun(model, inputs))
    assert_same(model(IMAGES), again(IMAGES))
    assert {id(w) for w in again.weights} == {id(w) for w in model.weights}
    assert not any(isinstance(layer, keras.Model) for layer in again.layers)


def test_rerun_keeps_shared_layers_and_the_structure_of_inputs_and_outputs():
    model = two_ends()
    vectors = {"left": np.eye(4, dtype="float32"), "right": np.ones((4, 4), "float32")}
    outputs = rerun(model, vectors)
    assert set(outputs) == {"sum", "both"}
    assert_same(model(vectors), outputs)


def test_rerun_can_replace_a_layer():
    model = residual_net()
    doubled = rerun(
        model, IMAGES, lambda layer, args, kwargs: 2 * layer(*args) if layer.name == "a" else None
    )
    model.get_layer("a").set_weights([2 * w for w in model.get_layer("a").get_weights()])
    np.testing.assert_allclose(doubled, model(IMAGES), rtol=1e-5, atol=1e-6)


def test_rerun_passes_training_to_dropout():
    model = residual_net()
    inputs = keras.Input((8, 8, 3))
    again = keras.Model(inputs, rerun(model, inputs))
    assert np.abs(again(IMAGES, training=True) - again(IMAGES, training=False)).max() > 0


def frozen(*names):
    return lambda layer: layer.name in names


def composed(parts, images):
    between = parts.prefix(images, training=False)
    count = len(parts.cut_names)
    between = keras.tree.flatten(between)[:count]
    return parts.suffix(between[0] if count == 1 else between, training=False)


@pytest.mark.parametrize(
    ("names", "cut"),
    [
        (("a",), ("a",)),
        (("a", "b"), ("a", "b")),
        (("a", "b", "pool"), ("a", "b")),
        (("a", "b", "c", "pool"), ("pool",)),
    ],
    ids=str,
)
def test_a_split_model_is_the_model(names, cut):
    model = residual_net()
    parts = split(model, frozen(*names))
    assert parts.cut_names == cut
    assert_same(model(IMAGES), composed(parts, IMAGES))
    trained = {id(w) for w in parts.suffix.weights}
    assert trained.isdisjoint(id(w) for w in parts.prefix.weights)
    assert len(trained) + len(parts.prefix.weights) == len(model.weights)


def test_nothing_frozen_has_no_prefix():
    model = residual_net()
    parts = split(model, frozen())
    assert parts.prefix is None
    assert parts.suffix is model


def test_a_frozen_layer_behind_a_trained_one_is_in_the_suffix():
    parts = split(residual_net(), frozen("a", "c"))
    assert [layer.name for layer in parts.prefix.layers][1:] == ["a"]


def test_everything_frozen_leaves_an_identity():
    model = residual_net()
    parts = split(model, lambda layer: True)
    assert parts.cut_names == ("head_logits",)
    assert not parts.suffix.weights
    assert_same(model(IMAGES), composed(parts, IMAGES))


def test_a_nested_model_is_cut_inside():
    model = nested_net()
    layers = {"first", "second"}
    parts = split(model, lambda layer: layer.name in layers)
    assert parts.cut_names == ("base/second",)
    assert_same(model(IMAGES), composed(parts, IMAGES))
    assert_same(model(IMAGES), composed(split(model, frozen("first")), IMAGES))


def test_upsampling_is_left_to_the_suffix():
    images = keras.Input((8, 8, 3))
    x = L.UpSampling2D(4, name="up")(L.Conv2D(2, 1, name="a")(images))
    model = keras.Model(images, L.Conv2D(2, 1, name="b")(x))
    parts = split(model, frozen("a", "up"))
    assert parts.cut_names == ("a",)
    assert_same(model(IMAGES), composed(parts, IMAGES))


def test_the_raw_input_can_be_a_cut_tensor():
    images = keras.Input((8, 8, 3), name="images")
    x = L.Add()([L.Conv2D(3, 1, name="a")(images), L.Conv2D(3, 1, name="b")(images)])
    model = keras.Model(images, x)
    parts = split(model, frozen("a"))
    assert set(parts.cut_names) == {"a", "images"}
    assert_same(model(IMAGES), composed(parts, IMAGES))


def test_dictionaries_of_inputs_and_outputs_survive_a_split():
    model = two_ends()
    vectors = {"left": np.eye(4, dtype="float32"), "right": np.ones((4, 4), "float32")}
    parts = split(model, frozen("shared", "both"))
    between = parts.prefix([vectors["left"], vectors["right"]])
    assert_same(model(vectors), parts.suffix(between))


def test_extra_outputs_come_after_the_cut_tensors():
    model = residual_net()
    parts = split(model, frozen("a", "b", "c", "pool"), extra_outputs=["b", "head_logits"])
    assert parts.cut_names == ("pool",)
    assert parts.extra_names == ("b",)
    wanted = keras.Model(model.input, model.get_layer("b").output)(IMAGES)
    np.testing.assert_allclose(parts.prefix(IMAGES)[1], wanted, rtol=1e-6, atol=1e-6)
    assert len(parts.suffix.inputs) == 1


def test_taps_of_flat_and_nested_layers_belong_to_the_model():
    for model, names in (
        (residual_net(), ["a", "b"]),
        (nested_net(), ["wrapped/base/first", "wrapped", "third"]),
    ):
        found = keras.Model(model.input, taps(model, names))(IMAGES)
        assert all(np.abs(x).max() > 0 for x in found)
    np.testing.assert_allclose(found[-1], model(IMAGES), rtol=1e-6)
    base = model.get_layer("base")
    first = keras.Model(base.input, base.get_layer("first").output)
    np.testing.assert_allclose(found[0], first(IMAGES), rtol=1e-6, atol=1e-6)


def test_an_unknown_layer_names_the_nearest():
    with pytest.raises(ConfigError, match=r"^thirdd: .*Did you mean third\?$"):
        layer_output(nested_net(), "thirdd")


def test_a_name_in_two_places_asks_for_the_path():
    with pytest.raises(ConfigError, match=r"2 layers have that name\. Give wrapped/base/first"):
        layer_output(nested_net(), "first")


def test_a_model_with_its_own_call_has_no_graph():
    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ConfigError, match="no graph"):
        trace(Own())


def application(name, size=64, **options):
    return getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), include_top=False, pooling="avg", **options
    )


APPLICATIONS = {
    "MobileNet": (
        ["conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu",
         "conv_pw_13_relu"],
        ["stem", *(f"block_{i}" for i in range(1, 14))],
    ),
    "ResNet50V2": (
        ["conv1_conv", "conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"],
        ["stem", *(f"conv{s}_block{b}" for s, n in ((2, 3), (3, 4), (4, 6), (5, 3))
                   for b in range(1, n + 1)), "top"],
    ),
    "EfficientNetB0": (
        ["block2a_expand_activation", "block3a_expand_activation", "block4a_expand_activation",
         "block6a_expand_activation", "top_activation"],
        ["stem", "block1a", "block2a", "block2b", "block3a", "block3b", "block4a", "block4b",
         "block4c", "block5a", "block5b", "block5c", "block6a", "block6b", "block6c", "block6d",
         "block7a", "top"],
    ),
    "VGG16": (
        ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"],
        ["block1", "block2", "block3", "block4", "block5"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "taps_and_blocks"), APPLICATIONS.items(), ids=APPLICATIONS)
def test_stages_and_blocks_of_keras_applications(name, taps_and_blocks):
    model = application(name)
    tapped, names = taps_and_blocks
    assert stages(model) == tapped
    found = blocks(model)
    assert [block.name for block in found] == names
    layers = [layer for block in found for layer in block.layers]
    assert len(layers) == len(set(layers)) == sum(bool(layer.weights) for layer in model.layers)
    sides = [tensor.shape[1] for tensor in taps(model, tapped)]
    assert sides == sorted(set(sides), reverse=True)


@pytest.mark.parametrize(("name", "levels"), [("ConvNeXtTiny", 4), ("MobileNetV3Small", 5)])
def test_other_applications_have_one_stage_per_resolution(name, levels):
    model = application(name)
    sides = [tensor.shape[1] for tensor in taps(model, stages(model))]
    assert sides == [64 // 2**i for i in range(6 - levels, 6)]
    names = [block.name for block in blocks(model)]
    assert names[0] == "stem"
    assert len(names) > 12


def test_a_net_without_block_names_is_grouped_by_resolution():
    images = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, strides=2, activation="relu", name="one")(images)
    x = L.Conv2D(4, 3, activation="relu", name="two")(x)
    x = L.Conv2D(4, 3, strides=2, activation="relu", name="three")(x)
    x = L.Dense(2, name="head_logits")(L.GlobalAveragePooling2D()(x))
    model = keras.Model(images, x)
    found = {b.name: [layer.name for layer in b.layers] for b in blocks(model)}
    assert found == {"stage_0": ["one", "two"], "stage_1": ["three"], "head": ["head_logits"]}
    assert stages(model) == ["two", "three"]


def test_a_dense_net_has_blocks_and_no_stages():
    images = keras.Input((4,))
    x = L.Dense(2, name="head_logits")(L.Dense(3, name="one")(images))
    found = blocks(keras.Model(images, x))
    assert [b.name for b in found] == ["stage_0", "head"]
    assert stages(keras.Model(images, x)) == []


def test_flops_by_hand():
    # conv 8*8*4*(3*3*3) + depthwise 4*4*8*(3*3) + pointwise 4*4*6*8 + dense 6*5, times 2.
    images = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same")(images)
    x = L.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same")(x)
    x = L.GlobalMaxPooling2D()(L.Conv2D(6, 1)(x))
    model = keras.Model(images, L.Dense(5)(x))
    assert flops(model) == 2 * (8 * 8 * 4 * 27 + 4 * 4 * 8 * 9 + 4 * 4 * 6 * 8 + 30)
    assert parameters(model) == (27 * 4 + 4) + (72 + 8) + (48 + 6) + (30 + 5)


def test_flops_of_grouped_separable_and_transposed_convolutions_by_hand():
    images = keras.Input((4, 4, 4))
    x = L.Conv2D(6, 3, groups=2, padding="same")(images)
    x = L.SeparableConv2D(5, 3, padding="same")(x)
    x = L.Conv2DTranspose(2, 3, strides=2, padding="same")(x)
    expected = 16 * 6 * 9 * 2 + 16 * (9 * 6 + 6 * 5) + 16 * 9 * 5 * 2
    assert flops(keras.Model(images, x)) == 2 * expected


def test_flops_of_an_einsum_by_hand():
    # Five positions, four heads of two numbers, each a sum over three.
    tokens = keras.Input((5, 3))
    x = L.EinsumDense("abc,cde->abde", output_shape=(5, 4, 2))(tokens)
    assert flops(keras.Model(tokens, x)) == 2 * 5 * 4 * 2 * 3


def test_flops_of_an_open_size_use_the_given_one():
    images = keras.Input((None, None, 3))
    model = keras.Model(images, L.Conv2D(2, 1)(images))
    assert flops(model, image_size=10) == 2 * 100 * 6
