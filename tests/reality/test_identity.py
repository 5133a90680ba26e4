"""Data is the same when its whole content is: a changed byte anywhere is noticed, a copy is not."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.changes import flip, shard_of
from tests.helpers.runs import same_weights
from tests.helpers.words import checked, config
from tlcli.commands import evaluate, prepare, train
from tlcli.config import registry
from tlcli.data import content, index, prepared
from tlcli.data.resize import Resize
from tlcli.data.unlabelled import joined, photos
from tlcli.data.views import Views
from tlcli.errors import DataError, TlError
from tlcli.models.frozen import table_file
from tlcli.models.frozen.network import Frozen
from tlcli.models.frozen.tables import Tables

SIDE = 64  # A BMP of 12 kB: its middle is in neither end that the scan looks at.


@pytest.fixture(autouse=True)
def _young_files_count_as_old(monkeypatch):
    monkeypatch.setattr(content, "TICK_NS", 0)


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def write_folder(root):
    for number in range(12):
        path = root / "data" / "ab"[number % 2] / f"{number}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(path)
    return [root / "data" / "b" / "5.bmp"], "data=folder", f"data.path={root / 'data'}"


def write_table(root):
    files, *_ = write_folder(root)
    rows = "".join(f"{'ab'[n % 2]}/{n}.bmp,{'ab'[n % 2]}\n" for n in range(12))
    (root / "data" / "list.csv").write_text("path,label\n" + rows)
    return files, "data=csv", f"data.path={root / 'data' / 'list.csv'}"


def write_arrays(root, scale=1):
    (root / "data").mkdir(parents=True)
    images = np.stack([picture(number) for number in range(300)])
    np.save(root / "data" / "x_train.npy", images if scale == 1 else (images * scale).astype("f4"))
    np.save(root / "data" / "y_train.npy", np.arange(300) % 2)
    return [root / "data" / "x_train.npy"], "data=npy", f"data.path={root / 'data'}"


def write_floats(root):
    return write_arrays(root, 1 / 255)


def write_records(root):
    write_folder(root)
    paths = [root / "data" / "ab"[number % 2] / f"{number}.bmp" for number in range(12)]
    path = shard_of(root / "shards", paths)
    return [path], "data=tfrecord", f"data.path={root / 'shards'}"


WRITERS = [write_folder, write_table, write_arrays, write_floats]


def manifest_of(words, cache):
    values = config("train", *words)["data"]
    return registry.build("data", values).manifest(0, cache)


def features(manifest, cache):
    """What is kept of all images: the images themselves."""
    views = Views(manifest, Resize(SIDE, "crop", 1.0, True), None, 0, 2)
    rows = np.arange(len(manifest.ids))
    return Tables(cache / "tables").outputs(None, views, rows, 1, 8)[0]


@pytest.mark.parametrize("write", WRITERS)
def test_a_changed_byte_is_as_an_empty_cache(tmp_path, write):
    files, *words = write(tmp_path)
    first = manifest_of(words, tmp_path / "cache")
    before, told = features(first, tmp_path / "cache"), first.identity()
    for path in files:
        flip(path)
    second = manifest_of(words, tmp_path / "cache")
    fresh = manifest_of(words, tmp_path / "empty")
    after = features(second, tmp_path / "cache")
    np.testing.assert_array_equal(after, features(fresh, tmp_path / "empty"))
    assert second.identity() == fresh.identity()
    # The last bit of a float may round away: then the pictures are the same, and so is the data.
    assert second.same_data(told) == np.array_equal(before, after)
    assert write is write_floats or not second.same_data(told)


@pytest.mark.parametrize("write", [*WRITERS, write_records])
def test_a_copy_elsewhere_is_the_same_data(tmp_path, monkeypatch, write):
    _, *words = write(tmp_path / "one")
    first = manifest_of(words, tmp_path / "cache")
    kept = features(first, tmp_path / "cache")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    words = [word.replace(str(tmp_path / "one"), str(tmp_path / "two")) for word in words]
    second = manifest_of(words, tmp_path / "cache")
    assert second.same_data(first.identity())
    monkeypatch.setattr(Frozen, "parts", None)
    np.testing.assert_array_equal(features(second, tmp_path / "cache"), kept)


@pytest.mark.parametrize("write", [*WRITERS, write_records])
def test_hashes_come_from_the_first_pass_and_are_remembered(tmp_path, monkeypatch, write):
    _, *words = write(tmp_path)
    first = manifest_of(words, tmp_path / "cache")
    assert not first.images.known().any()
    features(first, tmp_path / "cache")
    assert first.images.known().all()
    told = first.identity()
    monkeypatch.setattr(content, "content_hash", None)  # Nothing may be hashed again.
    second = manifest_of(words, tmp_path / "cache")
    assert second.images.known().all()
    assert second.identity() == told


def test_a_range_of_values_is_part_of_the_content(tmp_path):
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "x_train.npy", np.ones((300, 8, 8, 3), np.int16) * (
        np.arange(300) % 2)[:, None, None, None].astype(np.int16))  # fmt: skip
    np.save(tmp_path / "data" / "y_train.npy", np.arange(300) % 2)
    told = [
        manifest_of(
            ("data=npy", f"data.path={tmp_path / 'data'}", f"data.value_range={name}"),
            tmp_path / "cache",
        ).identity()
        for name in ("0-1", "0-255")
    ]  # fmt: skip
    assert told[0] != told[1]


def test_photos_that_were_added_do_not_change_the_own_data(tmp_path):
    _, *words = write_folder(tmp_path)
    plain = manifest_of(words, tmp_path / "cache")
    more = joined(plain, photos(tmp_path / "data", tmp_path / "cache"))
    assert more.identity() == plain.identity()
    assert len(more.images.hashes(np.arange(24))) == 24
    assert more.images.known().all()


@pytest.mark.parametrize("part", ["picture", "label", "checksum"])
def test_a_record_whose_checksum_does_not_fit_is_refused(tmp_path, part):
    (path,), *words = write_records(tmp_path)
    manifest_of(words, tmp_path / "cache")
    data = path.read_bytes()
    size = len(data) // 12
    at = {"picture": size // 2, "label": data.index(b"\x1a\x03\n\x01") + 4, "checksum": size - 2}
    flip(path, at[part] + (3 * size if part != "label" else 0))
    number = 0 if part == "label" else 3
    for cache in ("cache", "empty"):
        with pytest.raises(DataError, match=rf"tfrecord record {number}: is damaged: its check"):
            manifest_of(words, tmp_path / cache)


def test_a_shard_that_changes_after_the_start_is_told(tmp_path):
    (path,), *words = write_records(tmp_path)
    manifest = manifest_of(words, tmp_path / "cache")
    flip(path)
    with pytest.raises(DataError, match=r"train\.tfrecord/0: .*changed since the data was listed"):
        manifest.images.encoded(0)


def test_prepared_shards_are_read_once_to_compare_their_sha256(tmp_path, monkeypatch):
    _, *words = write_folder(tmp_path)
    shards = tmp_path / "shards"
    given = [*words[1:], f"output={shards}", f"cache_dir={tmp_path / 'cache'}"]
    assert prepare.run(checked("prepare", *given)) == 0
    of_shards = ("data=tfrecord", f"data.path={shards}")
    hashed = []
    sha256 = prepared.files.sha256
    monkeypatch.setattr(prepared.files, "sha256", lambda p: hashed.append(p) or sha256(p))
    told = manifest_of(of_shards, tmp_path / "cache").identity()
    assert not hashed  # The command that wrote them knows what it wrote.
    manifest_of(of_shards, tmp_path / "other")
    assert len(hashed) == len(set(hashed)) == len(list(shards.glob("*.tfrecord")))
    assert manifest_of(of_shards, tmp_path / "other").identity() == told
    assert len(hashed) == len(list(shards.glob("*.tfrecord")))
    flip(min(shards.glob("*.tfrecord")))
    with pytest.raises(DataError, match=r"tfrecord: is damaged: its SHA-256"):
        manifest_of(of_shards, tmp_path / "cache")


def test_above_the_limit_content_is_looked_at_before_it_counts(tmp_path, monkeypatch):
    (path,), *words = write_folder(tmp_path)
    for at, folders, files in os.walk(tmp_path / "data"):
        for name in [*folders, *files, "."]:
            os.utime(Path(at) / name, ns=(10**18, 10**18))
    monkeypatch.setattr(index, "STAT_ALL", 3)
    monkeypatch.setattr(index, "_SAMPLE", 2)
    first = manifest_of(words, tmp_path / "cache")
    told = first.identity()
    second = manifest_of(words, tmp_path / "cache")
    assert any("12 files is that of last time" in note for note in second.report["notes"])
    assert second.identity() == told
    flip(path)
    with pytest.raises(DataError, match=r"5\.bmp: is another file than when they were listed"):
        manifest_of(words, tmp_path / "cache").identity()


def test_a_large_table_with_a_changed_byte_is_computed_again(tmp_path, monkeypatch):
    _, *words = write_folder(tmp_path)
    manifest = manifest_of(words, tmp_path / "cache")
    kept = features(manifest, tmp_path / "cache")
    monkeypatch.setattr(table_file, "ALWAYS_HASHED", 100)
    (path,) = (tmp_path / "cache" / "tables").glob("*/0.npy")
    flip(path)
    np.testing.assert_array_equal(features(manifest, tmp_path / "cache"), kept)


@pytest.fixture
def learn(tmp_path):
    """Train on arrays; gives the weights."""

    def run(name, cache, *words):
        given = [
            "data=npy", f"data.path={tmp_path / 'data'}", "data.test_fraction=0.1",
            "backbone=tiny", "epochs=2", "batch_size=50", f"run_dir={tmp_path / name}",
            f"cache_dir={tmp_path / cache}", "calibrate=false", *words,
        ]  # fmt: skip
        assert train.run(checked("train", *given)) == 0
        return tmp_path / name

    return run


def far_pictures(path):
    """Change pictures between those that a sample of 256 sees; size and time stay."""
    images = np.load(path, mmap_mode="r")
    seen = np.unique(np.linspace(0, len(images) - 1, 256).astype(int))
    row = np.setdiff1d(np.arange(len(images)), seen)[0]
    flip(path, 128 + int(row) * images[0].nbytes)


def test_training_eval_and_resume_notice_changed_arrays(tmp_path, learn):
    (path,), *_ = write_arrays(tmp_path)
    run = learn("one", "cache")
    assert evaluate.run(checked("eval", f"checkpoint={run}")) == 0
    begun = learn("begun", "cache", "keep_state=true", "save_every=2steps")
    (begun / "model.weights.h5").unlink()
    far_pictures(path)
    with pytest.raises(DataError, match="is not the data this run was trained on"):
        evaluate.run(checked("eval", f"checkpoint={run}"))
    with pytest.raises(TlError, match="the data changed since the state was saved"):
        train.run(checked("train", f"resume={begun}"))
    two, fresh = learn("two", "cache"), learn("fresh", "empty")
    same_weights(two, fresh)


def test_teacher_outputs_are_of_the_pictures_as_they_are(tmp_path, learn):
    (path,), *_ = write_arrays(tmp_path)
    teacher = learn("teacher", "cache")
    words = ("distillation=kd", "teacher=run", f"teacher.path={teacher}",
             "teacher.minimum_accuracy=0", "finetune=full")  # fmt: skip
    learn("one", "cache", *words)
    far_pictures(path)
    same_weights(learn("two", "cache", *words), learn("fresh", "empty", *words))
