import os
import sys

import keras
import numpy as np
import pytest
import yaml

from tlcli.config import registry
from tlcli.errors import ConfigError, DataError
from tlcli.system.download import offline


def option(**changes):
    path = registry.config_root() / "backbone" / "hub.yaml"
    return registry.build("backbone", {**yaml.safe_load(path.read_text()), **changes})


def pictures():
    return keras.Input((32, 32, 3), name="images")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ConfigError, match=r"^backbone: KerasHub .*pip install 'tlcli\[hub\]'\.$"):
        option(preset="vit_base_patch16_224_imagenet").build(pictures())


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    keras_hub = pytest.importorskip("keras_hub")
    folder = str(tmp_path_factory.mktemp("hub") / "vit")
    model = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    model.save_to_preset(folder)
    return folder, model


def test_a_local_preset_gives_its_own_output_behind_the_preprocessing(preset):
    folder, theirs = preset
    backbone = option(preset=folder, preprocessing="tf")
    model = backbone.build(pictures())
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    assert not np.allclose(model(images), theirs(images / 127.5 - 1), atol=1e-3)
    report = backbone.load(model)
    assert report.missing == ()
    np.testing.assert_allclose(model(images), theirs(images / 127.5 - 1), atol=1e-5)
    assert [layer.name for layer in model.layers][:2] == ["images", "preprocess"]
    again = backbone.build(pictures())
    assert [w.path for w in model.weights] == [w.path for w in again.weights]


def test_a_preset_without_image_converter_asks_for_the_preprocessing(preset):
    with pytest.raises(ConfigError, match=r"^backbone\.preprocessing: .*no image converter"):
        option(preset=preset[0]).build(pictures())


def test_what_is_no_preset_is_refused(preset):
    with pytest.raises(
        ConfigError, match=r"^backbone\.preset: cannot use \./none .*save_to_preset"
    ):
        option(preset="./none").build(pictures())


def test_offline_asks_for_no_preset_by_name():
    backbone = option(preset="dinov2_small")
    with offline(True), pytest.raises(ConfigError, match=r"^backbone\.preset: .* offline=true"):
        backbone.build(keras.Input((224, 224, 3)))


@pytest.mark.parametrize("content", ["{}", "5", "[" * 100_000, '{"class_name": []}', "", "\xff"])
def test_a_folder_whatever_it_holds_is_refused_in_one_line(preset, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"^backbone\.preset: cannot use .*save_to_preset\.$"):
        option(preset=str(tmp_path)).build(pictures())


def test_a_pipe_in_a_preset_is_not_waited_for(preset, tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(DataError, match=r"config\.json: is a pipe, no file"):
        option(preset=str(tmp_path)).build(pictures())
