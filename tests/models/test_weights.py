import h5py
import keras
import numpy as np
import pytest

from tests.helpers.networks import network
from tlcli.errors import ConfigError, DataError
from tlcli.models.by_name import copy_by_name, load_by_name
from tlcli.models.weights import load_exact, save_weights


def same(one, other):
    return all(
        np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def test_exact_gives_back_every_weight_and_leaves_no_other_file(saved, tmp_path):
    model, path = saved
    other = network()
    load_exact(other, path)
    assert same(model, other)
    assert [p.name for p in tmp_path.iterdir()] == ["model.weights.h5"]


def test_keras_reads_what_we_write(saved):
    model, path = saved
    other = network()
    other.load_weights(path)
    assert same(model, other)


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(type(model), "save_weights", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(model, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (lambda: network(width=6), "is float32"),
        (lambda: network(dense="other"), "belongs to layer 'top', not 'other'"),
        (
            lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]),
            "has an unknown layers/",
        ),
    ],
)
def test_exact_refuses_another_model_and_leaves_it_alone(saved, other, problem):
    model = other()
    before = model.get_weights()
    with pytest.raises(DataError, match=problem):
        load_exact(model, saved[1])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_exact_refuses_an_extra_weight(saved):
    edit(saved[1], lambda file: file.create_dataset("layers/extra/vars/0", data=[1.0]))
    with pytest.raises(DataError, match="has an unknown layers/extra/vars/0"):
        load_exact(network(), saved[1])


def test_exact_refuses_another_dtype(saved):
    def change(file):
        values = file["layers/conv2d/vars/1"][()]
        del file["layers/conv2d/vars/1"]
        file["layers/conv2d/vars/1"] = values.astype("float64")

    edit(saved[1], change)
    with pytest.raises(DataError, match=r"vars/1 is float64 \(4,\) but conv/bias is float32"):
        load_exact(network(), saved[1])


def huge_contiguous(file):
    space = h5py.h5s.create_simple((10**9, 4))
    h5py.h5d.create(file["layers"].id, b"bomb", h5py.h5t.IEEE_F32LE, space)


def huge_compressed(file):
    file.create_dataset("layers/bomb", (10**6, 10**4), "f4", chunks=(100, 100), compression="gzip")


def external_link(file):
    file["layers/conv2d/vars"].move("0", "old")
    file["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file):
    file["layers/other"] = h5py.SoftLink("/layers/conv2d")


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", (4,))
    del file["layers/conv2d/vars/1"]
    file.create_virtual_dataset("layers/conv2d/vars/1", layout)


def external_storage(file):
    del file["layers/conv2d/vars/1"]
    file.create_dataset("layers/conv2d/vars/1", (4,), "f4", external="/etc/hostname")


def cycle(file):
    file["layers/conv2d/again"] = file["layers"]


def text(file):
    file["layers/note"] = "hello"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (huge_contiguous, "declares 16000000000 bytes and stores 0"),
        (huge_compressed, "declares 40000000000 bytes and stores 0"),
        (external_link, r"is a link \(ExternalLink\)"),
        (soft_link, r"is a link \(SoftLink\)"),
        (virtual, "keeps its data in other files"),
        (external_storage, "keeps its data in other files"),
        (cycle, "is linked twice"),
        (text, "holds no numbers"),
    ],
)
@pytest.mark.parametrize("load", [load_exact, load_by_name])
def test_unsafe_content_is_refused(saved, change, problem, load):
    edit(saved[1], change)
    with pytest.raises(DataError, match=problem):
        load(network(), saved[1])


@pytest.mark.parametrize("load", [load_exact, load_by_name])
def test_a_broken_file_is_one_line(saved, load):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"model\.weights\.h5: not a whole HDF5 file .*truncated"):
        load(network(), path)
    path.write_text("weights")
    with pytest.raises(DataError, match="not a whole HDF5 file"):
        load(network(), path)
    path.unlink()
    with pytest.raises(ConfigError, match="no file"):
        load(network(), path)


def test_a_normalization_layer_computes_with_what_it_was_given(tmp_path):
    def normalizer():
        images = keras.Input((2, 2, 3), name="images")
        return keras.Model(images, keras.layers.Normalization(axis=-1, name="norm")(images))

    source, exact, named, copied = (normalizer() for _ in range(4))
    source.get_layer("norm").adapt(np.random.default_rng(0).uniform(0, 9, (9, 2, 2, 3)))
    save_weights(source, tmp_path / "a.weights.h5")
    load_exact(exact, tmp_path / "a.weights.h5")
    load_by_name(named, tmp_path / "a.weights.h5")
    copy_by_name(source, copied, "a")
    images = np.ones((1, 2, 2, 3), "f4")
    for model in (exact, named, copied):
        np.testing.assert_allclose(model(images), source(images), rtol=1e-6)


def test_bfloat16_comes_back_bit_for_bit(tmp_path):
    def model():
        images = keras.Input((3,), name="images")
        return keras.Model(images, keras.layers.Dense(2, dtype="bfloat16", name="dense")(images))

    source, exact, named = model(), model(), model()
    save_weights(source, tmp_path / "a.weights.h5")
    load_exact(exact, tmp_path / "a.weights.h5")
    assert load_by_name(named, tmp_path / "a.weights.h5").loaded == ("dense",)
    assert str(exact.weights[0].dtype) == "bfloat16"
    assert same(source, exact)
    assert same(source, named)
