import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import yaml

from tests.helpers.published import MOBILENET, as_published, random_mobilenet
from tests.helpers.words import checked
from tlcli.config import registry
from tlcli.config.published import weight_files
from tlcli.errors import ConfigError
from tlcli.options.backbone.keras_applications import CONSTRUCTORS
from tlcli.system.download import offline

CONFIGS = Path(registry.config_root()) / "backbone"


def option(stem, **changes):
    values = yaml.safe_load((CONFIGS / f"{stem}.yaml").read_text())
    return registry.build("backbone", {**values, **changes})


def pictures(side=64):
    return keras.Input((side, side, 3), name="images")


def random_images(side=64):
    return np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype("float32")


def randomize(model):
    random = np.random.default_rng(1)
    for weight in model.weights:
        if str(weight.dtype) == "float32":
            weight.assign(random.uniform(0.2, 0.4, weight.shape))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def test_every_yaml_builds_its_option_without_tensorflow():
    code = (
        "import sys, yaml, pathlib; from tlcli.config import registry\n"
        f"for p in sorted(pathlib.Path({str(CONFIGS)!r}).glob('*.yaml')):\n"
        "    values = yaml.safe_load(p.read_text())\n"
        "    values |= {k: 'x' for k, v in values.items() if v == '???'}\n"
        "    option = registry.build('backbone', values)\n"
        "    print(p.stem, getattr(option, 'constructor', ''))\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    constructors = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert sorted(filter(None, constructors)) == sorted(CONSTRUCTORS)


def test_the_constructors_are_those_of_keras():
    found = {n for n in dir(keras.applications) if callable(getattr(keras.applications, n))}
    assert set(CONSTRUCTORS) == found


@pytest.mark.parametrize(
    ("stem", "parameters", "channels"),
    [
        # Parameters of the published networks without their tops.
        ("mobilenet", 3_228_864, 1024),
        ("mobilenet_v3_small", 939_120, 576),
        ("resnet50", 23_587_712, 2048),
        ("efficientnet_b0", 4_049_571, 1280),
        ("convnext_tiny", 27_820_128, 768),
    ],
)
def test_the_network_has_its_published_size_and_repeatable_names(stem, parameters, channels):
    first, second = (option(stem).build(pictures()) for _ in range(2))
    assert first.count_params() == parameters
    assert first.output.shape == (None, 2, 2, channels)
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    assert isinstance(first, keras.Model)
    assert first.inputs[0].name == "images"


def test_preprocessing_stays_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = option("vgg16").build(pictures(32))
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("preprocess").output.dtype == "float32"
    assert model.output.dtype == "bfloat16"


def test_efficientnet_by_keras_with_weights_gives_the_same_output(tmp_path, monkeypatch):
    ours = option("efficientnet_b0").build(pictures())
    randomize(ours)
    images = keras.Input((64, 64, 3))
    plain = keras.applications.EfficientNetB0(include_top=False, weights=None, input_tensor=images)
    plain.set_weights(ours.get_weights())
    plain.save_weights(tmp_path / "b0.weights.h5")
    from keras.src.applications import efficientnet

    file = str(tmp_path / "b0.weights.h5")
    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: file)
    # With its own weights' branch, Keras' order of layers has one more Rescaling and no new weight.
    theirs = keras.applications.EfficientNetB0(include_top=False, input_tensor=images)
    expected = np.asarray(theirs(random_images()))
    np.testing.assert_allclose(
        ours(random_images()), expected, rtol=1e-4, atol=1e-5 * abs(expected).max()
    )


def at_hand(monkeypatch, tmp_path, model, name):
    """Put a model's weights where Keras looks for a published file, as that file's."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = as_published(tmp_path / "models" / name, model)
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    facts = dataclasses.replace(weight_files()[name], hash=digest)
    monkeypatch.setitem(weight_files(), name, facts)


def test_a_cached_efficientnet_gives_what_keras_computes_with_it(tmp_path, monkeypatch):
    ours = option("efficientnet_b0").build(pictures())
    randomize(ours)
    expected = np.asarray(ours(random_images()))
    images = keras.Input((64, 64, 3))
    plain = keras.applications.EfficientNetB0(include_top=False, weights=None, input_tensor=images)
    plain.set_weights(ours.get_weights())
    at_hand(monkeypatch, tmp_path, plain, "efficientnetb0_notop.h5")
    fetched = option("efficientnet_b0").build(pictures())
    with offline(True):
        report = option("efficientnet_b0").load(fetched)
    assert report.missing == report.skipped == ()
    assert report.source == "imagenet (EfficientNetB0)"
    np.testing.assert_allclose(
        fetched(random_images()), expected, rtol=1e-4, atol=1e-5 * abs(expected).max()
    )


@pytest.mark.parametrize(
    ("side", "source"),
    [(224, "imagenet (MobileNet)"), (64, "imagenet (MobileNet)"),
     (128, "imagenet (MobileNet, its file of 224 px)")],
)  # fmt: skip
def test_a_file_of_other_pixels_serves_offline_and_is_said(side, source, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = random_mobilenet(tmp_path / "models" / MOBILENET)
    model = option("mobilenet", alpha=0.25).build(pictures(side))
    with offline(True):
        report = option("mobilenet", alpha=0.25).load(model)
    assert report.source == source
    assert report.missing == report.skipped == ()
    with h5py.File(path) as file:
        stored = np.concatenate([file["conv1"][key][()].ravel() for key in kernels(file["conv1"])])
    np.testing.assert_array_equal(stored, model.get_layer("conv1").get_weights()[0].ravel())


def kernels(group):
    found = []
    group.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


def test_the_classifier_gives_logits_of_keras_probabilities(tmp_path):
    backbone = option("mobilenet", alpha=0.25)
    ours = backbone.build_classifier(pictures())
    theirs = keras.applications.MobileNet(
        alpha=0.25, weights=None, input_shape=(64, 64, 3), classifier_activation="softmax"
    )
    ours.set_weights(theirs.get_weights())
    images = random_images()
    expected = theirs(keras.applications.mobilenet.preprocess_input(images.copy()))
    assert ours.output.shape == (None, 1000)
    np.testing.assert_allclose(keras.ops.softmax(ours(images)), expected, rtol=1e-4, atol=1e-7)


def test_a_classifier_needs_all_of_its_weights(tmp_path):
    body = option("mobilenet", alpha=0.25, weights="none").build(pictures())
    body.save_weights(tmp_path / "body.weights.h5")
    backbone = option("mobilenet", alpha=0.25, weights=str(tmp_path / "body.weights.h5"))
    with pytest.raises(ConfigError, match=r"^backbone\.weights: .* no weights to conv_preds"):
        backbone.load_classifier(backbone.build_classifier(pictures()))


def test_an_output_layer_cuts_the_network():
    model = option("mobilenet", alpha=0.25, output_layer="conv_pw_3_relu").build(pictures())
    assert model.output.shape == (None, 16, 16, 32)
    assert model.layers[-1].name == "conv_pw_3_relu"


def test_an_unknown_output_layer_is_answered_with_the_nearest():
    backbone = option("mobilenet", alpha=0.25, output_layer="conv_pw3_relu")
    with pytest.raises(ConfigError, match=r"^backbone\.output_layer: .* mean conv_pw_3_relu\?$"):
        backbone.build(pictures())


def test_a_published_file_with_gaps_loads_in_part(tmp_path):
    backbone = option("mobilenet", alpha=0.25, weights=str(tmp_path / "old.h5"))
    source = backbone.build(pictures())
    randomize(source)
    layers = [layer for layer in source.layers if layer.weights and layer.name != "conv_pw_5"]
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            keys = [f"{layer.name}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, value in zip(keys, layer.get_weights(), strict=True):
                group[key] = value[..., :3] if layer.name == "conv_pw_7" else value
    model = backbone.build(pictures())
    before = model.get_layer("conv_pw_7").get_weights()[0]
    report = backbone.load(model)
    assert report.missing == ("conv_pw_5", "conv_pw_7")
    assert len(report.loaded) == 52
    assert np.array_equal(model.get_layer("conv_pw_7").get_weights()[0], before)
    for name in ("conv1", "conv_pw_13_bn"):
        for a, b in zip(model.get_layer(name).weights, source.get_layer(name).weights, strict=True):
            assert np.array_equal(a, b)


def test_a_file_that_is_not_at_hand_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backbone = option("vgg16")
    with offline(True), pytest.raises(ConfigError) as caught:
        backbone.load(backbone.build(pictures(32)))
    message = str(caught.value)
    assert message.startswith(f"backbone.weights: {tmp_path}/models/vgg16_weights_tf_dim_ordering")
    assert "58.9 MB, md5 6d6bbae143d832006294945121d1f1fc" in message
    assert "backbone.weights=none" in message


@pytest.mark.parametrize(
    ("stem", "changes", "message"),
    [
        ("vgg16", {"constructor": "VGG17"}, r"^backbone\.constructor: .*Did you mean VGG1"),
        ("vgg16", {"alpha": 0.5}, r"^backbone\.alpha: got 0\.5\. Give null"),
        ("mobilenet", {"alpha": None}, r"^backbone\.alpha: got None"),
        ("mobilenet", {"alpha": 0.3}, r"^backbone\.alpha: got 0\.3\. With weights=imagenet"),
        ("xception", {"default_image_size": 64}, r"^backbone\.default_image_size: .*71 or more"),
        ("vgg16", {"preprocessing": "keras"}, r"^backbone\.preprocessing: got 'keras'"),
        ("vgg16", {"batch_norm": "on"}, r"^backbone\.batch_norm: got 'on'"),
    ],
)
def test_bad_values_are_refused(stem, changes, message):
    with pytest.raises(ConfigError, match=message):
        option(stem, **changes)


def test_pictures_below_the_smallest_size_are_refused():
    with pytest.raises(ConfigError, match=r"^data\.image_size: got 64\. Xception takes 71"):
        option("xception").build(pictures(64))
    with pytest.raises(ConfigError, match=r"^data\.image_size: got 64\. .*takes 224 only"):
        option("vgg16").build_classifier(pictures(64))


def test_efficientnet_stands_in_a_student():
    from tlcli.data.resize import Resize
    from tlcli.models.student import build_student

    head = registry.build("head", registry.defaults("head", "linear"))
    backbone = option("efficientnet_b0", weights="none", output_layer="block1a_activation")
    student = build_student(backbone, head, 3, Resize(32, "crop", 1.0, True))
    body = backbone.build(pictures(32))
    values = {w.path: w.numpy() for w in student.model.weights}
    for weight in body.weights:
        weight.assign(values[weight.path])
    images = random_images(32).round()
    pooled = np.asarray(body(images)).mean((1, 2))
    embedding = student.extended(images.astype("uint8"))[1]
    np.testing.assert_allclose(embedding, pooled, rtol=1e-4, atol=1e-6)


def test_efficientnet_names_pictures_with_its_own_head():
    from tlcli.commands import run_namer

    words = ("backbone=efficientnet_b0", "backbone.weights=none", "image_size=32")
    namer = run_namer.own_head(checked("predict", "a.jpg", *words))
    logits, strange = namer.look(False)(random_images(32).astype("uint8"))
    assert logits.shape[1] == len(namer.class_names) == 1000
    assert strange is None
