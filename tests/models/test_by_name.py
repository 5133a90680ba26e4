"""Weights by the names of layers."""

import h5py
import keras
import numpy as np
import pytest

from tests.helpers.networks import network
from tlcli.errors import ConfigError, DataError
from tlcli.models.by_name import load_by_name


def test_a_missing_file_names_the_place_in_the_config(tmp_path):
    with pytest.raises(ConfigError, match=r"^backbone\.weights: no file .*/none\.h5\. Give"):
        load_by_name(network(), tmp_path / "none.h5")


def test_by_name_takes_what_fits(saved):
    model, path = saved
    images = keras.Input((8, 8, 3), name="images")
    features = keras.layers.Conv2D(7, 1, name="other")(images)
    features = keras.layers.Conv2D(4, 3, name="bn")(features)
    same_conv = keras.layers.Conv2D(4, 3, name="conv")(images)
    part = keras.Model(images, [features, same_conv])
    report = load_by_name(part, path)
    assert report.loaded == ("conv",)
    assert sorted(report.missing) == ["bn", "other"]
    assert sorted(report.skipped) == ["attention", "block", "top"]
    assert np.array_equal(part.get_layer("conv").kernel, model.get_layer("conv").kernel)


def test_by_name_reads_nested_layers_and_attention(saved):
    model, path = saved
    other = network(dense="other")
    report = load_by_name(other, path)
    assert report.missing == ("other",)
    assert set(report.loaded) == {"conv", "bn", "attention", "block"}
    for name in report.loaded:
        for a, b in zip(model.get_layer(name).weights, other.get_layer(name).weights, strict=True):
            assert np.array_equal(a, b)


def test_nothing_in_common_is_refused(saved):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="far")])
    with pytest.raises(ConfigError, match=r"^backbone\.weights: no layer of .* fits the model"):
        load_by_name(other, saved[1])


def write_legacy(path, layers, root="model_weights"):
    """The layout of the published files: (layer name, arrays) in order."""
    with h5py.File(path, "w") as file:
        group = file.create_group(root) if root else file
        group.attrs["layer_names"] = [name.encode() for name, _ in layers]
        for name, arrays in layers:
            keys = [f"{name}/w{i}:0" for i in range(len(arrays))]
            group.create_group(name).attrs["weight_names"] = [key.encode() for key in keys]
            for key, values in zip(keys, arrays, strict=True):
                group[name][key] = values


def convolutions(names, width=3):
    images = keras.Input((8, 8, 3), name="images")
    features = images
    for name in names:
        features = keras.layers.Conv2D(width, 1, name=name)(features)
    return keras.Model(images, features)


@pytest.mark.parametrize("root", ["", "model_weights"])
def test_published_files_whose_layers_all_fit_are_read_in_order(tmp_path, root):
    # The names are shifted by one: by name, the second layer's arrays would go to the first.
    arrays = [[np.full((1, 1, 3, 3), i, "f4"), np.full(3, i, "f4")] for i in (1, 2)]
    write_legacy(
        tmp_path / "old.h5",
        [("input", []), ("conv2d_1", arrays[0]), ("conv2d_2", arrays[1])],
        root,
    )
    model = convolutions(["conv2d", "conv2d_1"])
    report = load_by_name(model, tmp_path / "old.h5")
    assert report.loaded == ("conv2d", "conv2d_1")
    assert [float(layer.bias[0]) for layer in model.layers[1:]] == [1, 2]


def test_automatic_names_of_a_part_are_counted_from_the_first(tmp_path):
    arrays = [[np.full((1, 1, 3, 3), i, "f4"), np.full(3, i, "f4")] for i in (1, 2)]
    write_legacy(tmp_path / "old.h5", [("conv2d_95", arrays[0]), ("conv2d_96", arrays[1])])
    model = convolutions(["conv2d", "conv2d_1", "conv2d_2"])
    report = load_by_name(model, tmp_path / "old.h5")
    assert (report.loaded, report.missing) == (("conv2d", "conv2d_1"), ("conv2d_2",))
    assert [float(layer.bias[0]) for layer in model.layers[1:3]] == [1, 2]


def test_a_bomb_in_a_published_file_is_refused(tmp_path):
    arrays = [np.zeros((1, 1, 3, 3), "f4"), np.zeros(3, "f4")]
    write_legacy(tmp_path / "old.h5", [("conv", arrays)])
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        group = file["model_weights/conv/conv"]
        del group["w1:0"]
        group["w1:0"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(DataError, match=r"conv/w1:0 is a link \(ExternalLink\)"):
        load_by_name(convolutions(["conv"]), tmp_path / "old.h5")
