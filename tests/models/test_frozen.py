import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.models.frozen import table_file
from tlcli.models.frozen.items import Items, blocks_of
from tlcli.models.frozen.network import Frozen, Network, compute, kept_type
from tlcli.models.frozen.place import place_of, table_bytes
from tlcli.models.frozen.tables import Tables, alike, table_key, write_table
from tlcli.system import files, memory
from tlcli.system.crew import Crew


@pytest.fixture(scope="module")
def views():
    from tlcli.config.job import train_job

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
    (found,) = Tables(None).outputs(model, views, ROWS, 1, 4)
    images = np.concatenate(list(views.batches(ROWS, np.zeros(10), 10)))
    np.testing.assert_allclose(found, model.predict(images, verbose=0), atol=1e-5)
    assert found.nbytes == table_bytes(model, 10)


def test_the_key_changes_with_all_the_numbers_depend_on(views, model):
    def key_of(*given, of=model):
        return table_key(of and Network(of), *given)

    key = key_of(views, 4)
    assert key == key_of(views, 4)
    pad = Views(views.manifest, Resize(16, "pad", 1.0, True), None, 0, 2)
    keys = {key, key_of(pad, 4), key_of(views, 4, of=None), key_of(views, 4, True),
            key_of(views, 8)}  # fmt: skip
    bias = model.get_layer("conv").bias
    bias.assign(bias + 1)
    keys.add(key_of(views, 4))
    assert len(keys) == 6


def test_items_are_told_apart_by_content_and_view(views):
    def made_of(*given):
        items = Items(*given)
        return items.made_of(range(len(items)))

    renamed = replace(views.manifest, ids=views.manifest.ids[::-1], fingerprint="other")
    moved = Views(renamed, views.resize, None, 0, 2)
    assert made_of(views, ROWS, 1) == made_of(moved, ROWS, 1)
    assert len({made_of(views, ROWS, 1), made_of(views, ROWS[::-1], 1), made_of(views, ROWS, 2),
                made_of(views, ROWS + 1, 1)}) == 4  # fmt: skip


@pytest.mark.parametrize("count", [1, 2])
def test_other_rows_take_over_the_blocks_that_are_the_same(
    views, model, tmp_path, monkeypatch, count
):
    tables, computed = Tables(tmp_path), []
    batches = Frozen._batches

    def counted(frozen, rows, numbers):
        for part in batches(frozen, rows, numbers):
            computed.append(len(part[0]))
            yield part

    monkeypatch.setattr(Frozen, "_batches", counted)
    tables.outputs(model, views, ROWS, count, 4)
    assert sum(computed) == 10 * count
    for rows in (np.arange(12), np.array([0, 1, 2, 3, 4, 19, 6, 7, 8, 9])):
        computed.clear()
        (found,) = tables.outputs(model, views, rows, count, 4)
        assert sum(computed) < len(rows) * count
        np.testing.assert_array_equal(found, compute(model, views, rows, count, 4)[0])


def test_pictures_of_other_names_are_not_read_to_be_compared(views, model, tmp_path, monkeypatch):
    Tables(tmp_path).outputs(model, views, ROWS, 1, 4)
    asked = []
    images = views.manifest.images
    monkeypatch.setattr(images, "hashes", lambda rows: asked.append(rows))
    other = sorted(tmp_path.glob("*"))
    items = Items(views, ROWS + 10, 1)
    assert alike(other, items, blocks_of(10, 4)) == []
    assert alike(other, Items(views, ROWS, 1), blocks_of(10, 4)) == other
    assert not asked


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "facts"])
def test_a_damaged_table_is_computed_again(views, model, tmp_path, damage):
    tables = Tables(tmp_path)
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
    assert table_file.read(array.parent, mapped=False) is not None


def test_a_whole_table_is_read_not_computed(views, model, tmp_path, monkeypatch):
    tables = Tables(tmp_path)
    (first,) = tables.outputs(model, views, ROWS, 1, 4)
    monkeypatch.setattr(Frozen, "parts", None)
    np.testing.assert_array_equal(tables.outputs(model, views, ROWS, 1, 4)[0], first)
    assert not list(tmp_path.glob(".new-*"))


def test_a_mapped_table_stays_on_disk_and_is_the_same(views, model, tmp_path):
    tables = Tables(tmp_path)
    (mapped,) = tables.outputs(model, views, ROWS, 2, 4, mapped=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    (held,) = tables.outputs(model, views, ROWS, 2, 4)
    assert not isinstance(held, np.memmap)
    np.testing.assert_array_equal(mapped, held)
    np.testing.assert_array_equal(held, compute(model, views, ROWS, 2, 4)[0])


def test_large_tables_are_hashed_again_only_after_a_change(views, tmp_path, monkeypatch):
    tables, hashed = Tables(tmp_path), []
    monkeypatch.setattr(table_file, "ALWAYS_HASHED", 100)
    monkeypatch.setattr(table_file.files, "sha256", hashed.append)
    (first,) = tables.outputs(None, views, ROWS, 1, 4)
    assert not hashed
    (path,) = tmp_path.glob("*/0.npy")
    os.utime(path, (1, 1))
    np.testing.assert_array_equal(tables.outputs(None, views, ROWS, 1, 4)[0], first)
    assert path in hashed


def test_half_precision_is_kept_where_it_is_exact_enough(views, model, tmp_path):
    (exact,) = compute(model, views, ROWS, 1, 4)
    (half,) = Tables(tmp_path).outputs(model, views, ROWS, 1, 4, half=True)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, exact, rtol=2**-10, atol=2**-24)


@pytest.mark.parametrize("change", [lambda a: a + 1000, lambda a: a * 1e6, lambda a: a * 1e-8])
def test_half_precision_is_refused_where_it_would_blur(change):
    """An offset takes the digits; 65504 is the largest number, 6e-8 the smallest."""
    array = np.random.default_rng(0).normal(size=(64, 3, 3, 8)).astype(np.float32)
    assert kept_type(array) == np.float16
    assert kept_type(change(array).astype(np.float32)) == np.float32


def test_bfloat16_survives_the_disk(tmp_path):
    import ml_dtypes

    array = np.arange(12, dtype=np.float32).reshape(4, 3).astype(ml_dtypes.bfloat16)
    place = write_table(tmp_path, iter([[array[:3]], [array[3:]]]), 4, lambda: "key")
    (found,) = table_file.read(place, mapped=True)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found.astype(np.float32), array.astype(np.float32))


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_computed(
    views, model, tmp_path, monkeypatch
):
    tables = Tables(tmp_path)
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    with pytest.raises(files.NoRoom, match=r"^0\.1 MB of outputs .* which has 0\.1 MB free"):
        tables.outputs(model, views, ROWS, 1, 4, mapped=True)
    (found,) = tables.outputs(model, views, ROWS, 1, 4)
    assert found.shape[0] == len(ROWS)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed_after_a_day(tmp_path):
    for name, age in ((".new-old", 90_000), (".new-now", 10)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.npy").touch()
        for path in (tmp_path / name / "0.npy", tmp_path / name):
            os.utime(path, (time.time() - age,) * 2)
    with table_file.Writer(tmp_path, 1):
        assert not (tmp_path / ".new-old").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".new-now"]


@pytest.mark.parametrize(
    ("words", "samples", "expected"),
    [
        ("cache=off", 10, None),
        ("", 10, (False, False)),
        ("cache=disk", 10, (True, False)),
        ("cache_format=float16", 10, (False, True)),
        ("", 3_000_000, (True, True)),
        ("cache=ram", 3_000_000_000, None),
    ],
)
def test_where_a_table_goes(views, model, words, samples, expected):
    from tlcli.config.job import train_job

    settings = train_job(config("train", *words.split())).settings
    place = place_of(settings, model, views, samples, memory.Budget(1 << 29))
    assert (place and (place.mapped, place.half)) == expected


@pytest.mark.parametrize(("half", "known"), [(False, False), (True, False), (False, True)])
def test_several_compute_a_table_together_each_some_of_it(
    views, model, tmp_path, monkeypatch, half, known
):
    computed, batches = [], Frozen._batches

    def counted(frozen, rows, numbers):
        for part in batches(frozen, rows, numbers):
            computed.append((threading.get_ident(), len(part[0])))
            time.sleep(0.05)  # so that one thread does not do all before the others begin
            yield part

    rows, folder = np.arange(20), tmp_path / "tables"
    expected = Tables(tmp_path / "alone").outputs(model, views, rows, 2, 4, half)[0]
    if known:
        Tables(folder).outputs(model, views, rows[:8], 2, 4)
    monkeypatch.setattr(Frozen, "_batches", counted)
    found = {}

    def work(rank):
        tables = Tables(folder, Crew(tmp_path / "parts", rank, 3))
        found[rank] = tables.outputs(model, views, rows, 2, 4, half)[0]

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    for rank in range(3):
        assert found[rank].dtype == expected.dtype
        np.testing.assert_array_equal(found[rank], expected)
    # Each of the three looks at a sample of one view to decide on float16.
    sample = 3 * 20 if half else 0
    assert sum(count for _, count in computed) == 2 * 20 - (16 if known else 0) + sample
    assert len({thread for thread, _ in computed}) > 1
    assert not list((tmp_path / "parts").glob("*/*.part"))
    # A table that is gone is computed again, though its parts were cleared.
    shutil.rmtree(folder)
    np.testing.assert_array_equal(
        Tables(folder, Crew(tmp_path / "parts", 1, 3)).outputs(model, views, rows, 2, 4, half)[0],
        expected,
    )
