from dataclasses import replace

import numpy as np
import pytest

from tlcli import cache
from tlcli.pipeline import Views
from tlcli.resize import Resize


@pytest.fixture(scope="module")
def views(config):
    from tlcli.settings import train_job

    job = train_job(config("train", "data.images_per_class=4"))
    return Views(job.data.manifest(0, None), Resize(16, "crop", 1.0, True), None, 0, 2)


@pytest.fixture
def model():
    import keras

    inputs = keras.Input((16, 16, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1 / 255, dtype="float32")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3, name="conv")(pixels))


ROWS = np.arange(10)


def test_a_table_holds_the_models_outputs(views, model):
    (found,) = cache.Tables(None).outputs(model, views, ROWS, 1, 4)
    images = np.concatenate(list(views.batches(ROWS, np.zeros(10), 10)))
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)
    assert found.nbytes == cache.table_bytes(model, 10)


def test_the_key_changes_with_all_the_numbers_depend_on(views, model):
    key = cache.table_key(model, views, ROWS, 1)
    assert key == cache.table_key(model, views, ROWS, 1)
    pad = Views(views.manifest, Resize(16, "pad", 1.0, True), None, 0, 2)
    other = replace(views.manifest, fingerprint="other")
    moved = Views(other, views.resize, None, 0, 2)
    keys = {key, cache.table_key(model, pad, ROWS, 1), cache.table_key(model, moved, ROWS, 1),
            cache.table_key(model, views, ROWS[::-1], 1), cache.table_key(model, views, ROWS, 2),
            cache.table_key(None, views, ROWS, 1)}  # fmt: skip
    bias = model.get_layer("conv").bias
    bias.assign(bias + 1)
    keys.add(cache.table_key(model, views, ROWS, 1))
    assert len(keys) == 7


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "facts"])
def test_a_damaged_table_is_computed_again(views, model, tmp_path, damage):
    tables = cache.Tables(tmp_path)
    (first,) = tables.outputs(model, views, ROWS, 1, 4)
    (array,), (facts,) = tmp_path.glob("*/0.npy"), tmp_path.glob("*/table.json")
    content = bytearray(array.read_bytes())
    content[-3] ^= 1
    if damage == "gone":
        array.unlink()
    elif damage == "facts":
        facts.write_text("{")
    else:
        array.write_bytes(content if damage == "flip" else content[:-9])
    np.testing.assert_array_equal(tables.outputs(model, views, ROWS, 1, 4)[0], first)
    assert tables._read(array.parent.name) is not None


def test_a_whole_table_is_read_not_computed(views, model, tmp_path, monkeypatch):
    tables = cache.Tables(tmp_path)
    (first,) = tables.outputs(model, views, ROWS, 1, 4)
    monkeypatch.setattr(cache, "compute", None)
    np.testing.assert_array_equal(tables.outputs(model, views, ROWS, 1, 4)[0], first)
    assert not list(tmp_path.glob(".new-*"))
