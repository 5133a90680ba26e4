"""Pictures that turn out to be faulty while they are read, by kind and source: named, left out."""

import json
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.changes import flip, shard_of
from tests.helpers.devices import train_all
from tests.helpers.marks import cases
from tests.helpers.runs import same_weights
from tests.helpers.stopped import states
from tests.helpers.words import checked, config
from tlcli.commands import evaluate, prepare, train
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts.data import TEST
from tlcli.data import content, damage
from tlcli.data.damage import FaultyPictures
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.errors import DataError, TlError
from tlcli.training.data import data_of

COUNT = 24


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(damage, "_found_here", {})
    monkeypatch.setattr(content, "TICK_NS", 0)


def pixels(number):
    """A picture of its class, number % 2, by its colour."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 100, (6, 6, 3)) + np.array([0, 150, 0])[(np.arange(3) + number) % 2]
    return np.kron(small, np.ones((8, 8, 1))).astype(np.uint8)


def cut(path):
    """Half a JPEG with an end marker: libjpeg warns and makes up the rest."""
    Image.fromarray(pixels(1)).save(path, "JPEG", quality=95)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3] + b"\xff\xd9")


def hollow(path):
    """A PNG whose checksums are right and whose compressed stream is not."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(
            ">I", zlib.crc32(name + body))  # fmt: skip

    head = struct.pack(">IIBBBBB", 48, 48, 8, 2, 0, 0, 0)
    stream = b"\x78\x9c" + bytes(range(64))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")
    )


FAULTS = {"warned of": cut, "not to be decoded": hollow}


def pictures(root, fault=None, at=(7,)):
    """Pictures of two classes, some of them faulty."""
    for number in range(COUNT):
        path = root / "ab"[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if fault is not None and number in at:
            fault(path)
        else:
            Image.fromarray(pixels(number)).save(path, "JPEG", quality=95)
    return root


def as_folder(root):
    return ["data=folder", f"data.path={root}"], "b/07.jpg"


def as_table(root):
    rows = "".join(f"{'ab'[n % 2]}/{n:02d}.jpg,{'ab'[n % 2]}\n" for n in range(COUNT))
    (root / "list.csv").write_text(f"path,label\n{rows}")
    return ["data=csv", f"data.path={root / 'list.csv'}"], "b/07.jpg"


def as_photos(root):
    return ["data=photos", f"data.path={root}", "data.class_names=[a,b]"], "b/07.jpg"


def as_unlabelled(root):
    own = pictures(root.parent / "own")
    return ["data=folder", f"data.path={own}", f"unlabelled={root}"], "b/07.jpg"


def as_records(root):
    shards = root.parent / "shards"
    paths = [root / "ab"[n % 2] / f"{n:02d}.jpg" for n in range(COUNT)]
    shard_of(shards, paths)
    return ["data=tfrecord", f"data.path={shards}"], "train.tfrecord/7"


def as_prepared(root):
    shards = root.parent / "prepared"
    words = (f"data.path={root}", f"output={shards}", f"cache_dir={root.parent / 'of_prepare'}")
    assert prepare.run(checked("prepare", *words)) == 0
    return ["data=tfrecord", f"data.path={shards}"], "b/07.jpg"


SOURCES = [as_folder, as_table, as_photos, as_unlabelled, as_records, as_prepared]


def listed(words, cache):
    return data_of(train_job(config("train", *words, f"cache_dir={cache}")))


def passed(manifest):
    views = Views(manifest, Resize(32, "crop", 0.875, True), None, 0, 2)
    rows = np.arange(len(manifest.ids))
    return np.concatenate([np.asarray(part) for part in views.batches(rows, rows * 0, 4)])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_picture_is_named_once_and_left_out_from_then_on(
    tmp_path, monkeypatch, source, fault
):
    monkeypatch.setattr("tlcli.training.data.check_data", lambda *_: None)
    words, name = source(pictures(tmp_path / "data", FAULTS[fault]))
    first = listed(words, tmp_path / "cache")
    with pytest.raises(FaultyPictures) as told:
        passed(first)
    assert list(told.value.found) == [name]
    assert told.value.remember()
    assert not told.value.remember()
    second = listed(words, tmp_path / "cache")
    skipped = [i for i, _ in second.report["skipped"]]
    kept = np.array([not str(i).endswith(name) or "unlabelled" in str(name) for i in first.ids])
    if source is as_unlabelled:
        kept = np.array([str(i) != f"unlabelled/{name}" for i in first.ids])
    assert skipped == [name]
    np.testing.assert_array_equal(second.ids, first.ids[kept])
    np.testing.assert_array_equal(second.splits, first.splits[kept])
    assert second.listed == first.fingerprint != second.fingerprint
    assert len(passed(second)) == len(second.ids) == len(first.ids) - 1
    key = "damaged" if fault == "warned of" else "on_error"
    where = "data"
    with pytest.raises(DataError, match=rf"{name}: .*{where}\.{key}=skip"):
        listed([*words, f"data.{key}=fail"], tmp_path / "cache")
    with pytest.raises(DataError, match=rf"{name}: .*{where}\.{key}=skip"):
        passed(listed([*words, f"data.{key}=fail"], tmp_path / "empty"))


def test_a_copy_of_a_faulty_picture_is_known_by_its_content(tmp_path):
    words, _ = as_folder(pictures(tmp_path / "data", hollow))
    with pytest.raises(FaultyPictures) as told:
        passed(listed(words, tmp_path / "cache"))
    told.value.remember()
    os.utime(tmp_path / "data" / "b" / "07.jpg")
    assert len(listed(words, tmp_path / "cache").ids) == COUNT - 1
    shutil.copy(tmp_path / "data" / "b" / "05.jpg", tmp_path / "data" / "b" / "07.jpg")
    assert len(listed(words, tmp_path / "cache").ids) == COUNT


def test_what_was_found_stays_known_where_no_cache_can_be_written(tmp_path):
    words, _ = as_folder(pictures(tmp_path / "data", hollow))
    (tmp_path / "cache").write_text("no folder")
    first = registry.build("data", config("train", *words)["data"]).manifest(0, tmp_path / "new")
    made = damage.Damage(first.root, tmp_path / "cache", "skip", "skip", (0, COUNT))
    fault = damage.Fault(damage.ERROR, "why", "", 1, 1)
    assert made.remember({"b/07.jpg": fault})
    assert not made.remember({"b/07.jpg": fault})


def test_what_another_process_wrote_down_meanwhile_is_left_out_all_the_same(tmp_path, monkeypatch):
    words, name = as_folder(pictures(tmp_path / "data", hollow))
    told = []
    for _ in range(2):  # Both list the data before one of them has found anything.
        manifest = listed(words, tmp_path / "cache")
        with pytest.raises(FaultyPictures) as fault:
            passed(manifest)
        told.append(fault.value)
    assert told[0].remember()
    monkeypatch.setattr(damage, "_found_here", {})
    assert told[1].remember()
    assert not told[1].remember()
    again = listed(words, tmp_path / "cache")
    assert [i for i, _ in again.report["skipped"]] == [name]


def gone(path):
    path.unlink()


def another(path):
    Image.fromarray(pixels(99)).resize((60, 40)).save(path, "JPEG")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def folder(path):
    path.unlink()
    path.mkdir()


def link(path):
    path.unlink()
    os.symlink(path.with_name("05.jpg"), path)


def shorter(path):
    path.write_bytes(path.read_bytes()[:300])


CHANGES = [gone, another, pipe, folder, link, shorter, flip]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seen", ["before the first read", "between two epochs"])
def test_a_file_that_changes_is_told_by_name_and_never_waited_for(tmp_path, change, seen):
    words, name = as_folder(pictures(tmp_path / "data"))
    manifest = listed(words, tmp_path / "cache")
    if seen == "between two epochs":
        passed(manifest)
    path = tmp_path / "data" / name
    change(path)
    with pytest.raises(DataError, match=rf"^{name}: .*changed since the data was listed"):
        passed(manifest)


@pytest.mark.parametrize("change", [gone, pipe, folder, shorter, flip])
def test_a_shard_that_changes_is_told_by_the_name_of_the_picture(tmp_path, change):
    words, _ = as_records(pictures(tmp_path / "data"))
    manifest = listed(words, tmp_path / "cache")
    passed(manifest)
    change(tmp_path / "shards" / "train.tfrecord")
    with pytest.raises(DataError, match=r"train\.tfrecord/\d+: .*changed since the data was list"):
        passed(manifest)


def as_arrays(root, scale=1.0):
    root.mkdir()
    images = np.stack([pixels(n % COUNT) for n in range(300)]) * scale
    np.save(root / "x_train.npy", images.astype(np.uint8 if scale == 1.0 else np.float32))
    np.save(root / "y_train.npy", np.arange(300) % 2)
    return ["data=npy", f"data.path={root}"], root / "x_train.npy"


@pytest.mark.parametrize("seen", [False, True])
def test_an_array_that_changes_while_it_is_used_is_told_by_name(tmp_path, seen):
    words, path = as_arrays(tmp_path / "data")
    manifest = listed(words, tmp_path / "cache")
    if seen:
        passed(manifest)
    flip(path)
    with pytest.raises(DataError, match=r"x_train\.npy picture \d+: .*changed since the data was"):
        passed(manifest)


def test_a_number_outside_of_the_range_is_told_by_name(tmp_path):
    words, path = as_arrays(tmp_path / "data", 1 / 255)
    images = np.load(path)
    sampled = np.unique(np.linspace(0, 299, 256).astype(int))
    row = int(np.setdiff1d(np.arange(300), sampled)[0])
    images[row] = np.nan
    np.save(path, images)
    with pytest.raises(DataError, match=rf"data picture {row}: has a picture with values from nan"):
        passed(listed(words, tmp_path / "cache"))


def test_a_file_that_is_only_touched_is_still_the_same(tmp_path):
    words, name = as_folder(pictures(tmp_path / "data"))
    manifest = listed(words, tmp_path / "cache")
    before = passed(manifest)
    os.utime(tmp_path / "data" / name)
    os.chmod(tmp_path / "data" / name, 0o600)
    np.testing.assert_array_equal(passed(manifest), before)


def test_as_many_as_would_be_the_decoders_fault_stop(tmp_path):
    words, _ = as_folder(pictures(tmp_path / "data", hollow, at=range(8)))
    with pytest.raises(DataError, match=r"8 of 24 pictures fail so, far more than at the scan"):
        passed(listed(words, tmp_path / "cache"))


def test_those_that_are_left_out_already_count(tmp_path):
    words, _ = as_folder(pictures(tmp_path / "data", hollow, at=range(4)))
    with pytest.raises(FaultyPictures) as told:
        passed(listed(words, tmp_path / "cache"))
    told.value.remember()
    for number in range(4, 8):
        hollow(tmp_path / "data" / "ab"[number % 2] / f"{number:02d}.jpg")
    with pytest.raises(DataError, match=r"8 of 24 pictures fail so"):
        passed(listed(words, tmp_path / "cache"))


# ---- whole trainings ---------------------------------------------------------------------------

FEW = (
    "backbone=tiny",
    "epochs=2",
    "batch_size=4",
    "calibrate=false",
    "image_size=32",
    "hardware=cpu",
)
STREAM = ("augmentation=light", "augmentation.views=null", "finetune=full", "cache=off")


@pytest.fixture
def learn(tmp_path):
    def run(name, cache, *words):
        given = [*FEW, f"run_dir={tmp_path / name}", f"cache_dir={tmp_path / cache}", *words]
        assert train.run(checked("train", *given)) == 0
        return tmp_path / name

    return run


@pytest.mark.parametrize("source", [as_folder, as_records])
def test_a_training_begins_again_as_if_the_fault_had_been_known(tmp_path, learn, capsys, source):
    words, name = source(pictures(tmp_path / "data", hollow, at=(7, 8)))
    found = learn("found", "cache", *words, *STREAM)
    assert f"skipped    {name}: cannot be decoded" in capsys.readouterr().err
    known = learn("known", "cache", *words, *STREAM)
    assert "skipped    " not in capsys.readouterr().err
    same_weights(found, known)
    assert name not in (found / "split.csv").read_text()


def test_a_warning_between_two_calls_is_heard(tmp_path, learn, capfd, monkeypatch):
    from tlcli.system import complaints
    from tlcli.training.phase import PhaseTraining

    words, name = as_folder(pictures(tmp_path / "data", cut))
    run, calls = PhaseTraining.run, []

    def decoded_ahead(phase, first, last):
        if calls:
            return run(phase, first, last)
        calls.append(first)
        # Nothing is heard of what this call decodes, and afterwards of what none was waiting for.
        with monkeypatch.context() as deaf:
            deaf.setattr(complaints, "_ear", lambda: None)
            found = run(phase, first, last)
        tf.io.decode_jpeg((tmp_path / "data" / name).read_bytes())
        return found

    monkeypatch.setattr(PhaseTraining, "run", decoded_ahead)
    learn("run", "cache", *words, *STREAM, "validate_every=2")
    told = capfd.readouterr().err
    assert f"skipped    {name}: is damaged" in told
    assert "Corrupt JPEG data" not in told


def test_a_faulty_test_image_is_left_out_of_the_figures_alone(tmp_path, learn, capsys):
    words, _ = as_folder(pictures(tmp_path / "data"))
    manifest = listed(words, tmp_path / "cache")
    name = str(manifest.ids[manifest.rows(TEST)][0])
    hollow(tmp_path / "data" / name)
    run = learn("run", "cache", *words, *STREAM)
    told = capsys.readouterr().err
    assert f"skipped    {name}" in told
    assert told.count("going on") == 0
    assert name not in (run / "split.csv").read_text()
    assert evaluate.run(checked("eval", f"checkpoint={run}", "format=json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == json.loads((run / "metrics.json").read_text())["test"]["accuracy"]


def test_a_resumed_training_begins_again_where_its_state_has_seen_a_fault(
    tmp_path, learn, capsys, monkeypatch
):
    words, name = as_folder(pictures(tmp_path / "data", cut))
    # The first start hears no warning: the state is one of a training with the picture in it.
    with monkeypatch.context() as deaf:
        deaf.setattr("tlcli.system.complaints._ear", lambda: None)
        begun = learn("begun", "cache", *words, *STREAM, "keep_state=true", "save_every=3steps")
        (begun / "model.weights.h5").unlink()
        # From the older state on a whole epoch is left, so every picture is decoded again.
        for part in begun.glob(f"state/{states(begun)[-1].stem}*"):
            part.unlink()
    assert train.run(checked("train", f"resume={begun}")) == 0
    assert f"skipped    {name}: is damaged" in capsys.readouterr().err
    same_weights(begun, learn("known", "cache", *words, *STREAM))


def test_a_resumed_training_finds_again_what_its_cache_forgot(tmp_path, learn, capsys, monkeypatch):
    words, name = as_folder(pictures(tmp_path / "data", hollow))
    state = ("keep_state=true", "save_every=3steps")
    begun = learn("begun", "cache", *words, *STREAM, *state)
    whole = tmp_path / "whole"
    shutil.copytree(begun, whole)
    (begun / "model.weights.h5").unlink()
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(damage, "_found_here", {})
    capsys.readouterr()
    assert train.run(checked("train", f"resume={begun}")) == 0
    told = capsys.readouterr().err
    assert f"skipped    {name}" in told
    assert "going on at phase 1" in told
    same_weights(begun, whole)


def test_a_picture_that_vanishes_in_training_stops_it_in_one_line(tmp_path, learn, monkeypatch):
    words, name = as_folder(pictures(tmp_path / "data"))
    from tlcli.training.phase import PhaseTraining

    run = PhaseTraining.run

    def after_the_first(phase, first, last):
        found = run(phase, first, last)
        (tmp_path / "data" / name).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(PhaseTraining, "run", after_the_first)
    with pytest.raises(TlError, match=rf"^{name}: is not there any more"):
        learn("run", "cache", *words, *STREAM, "epochs=20")


@pytest.mark.parametrize("fault", cases(FAULTS, slow=["warned of"]))
def test_workers_leave_out_the_same_pictures_at_the_same_place(tmp_path, fault):
    words, name = as_folder(pictures(tmp_path / "data", FAULTS[fault]))
    few = [w for w in FEW if not w.startswith("hardware")]
    jobs = {
        run: [*few, *words, *STREAM, f"cache_dir={tmp_path / 'cache'}"] for run in ("one", "two")
    }
    found = train_all("2", jobs, tmp_path)
    assert name not in (found["one"] / "split.csv").read_text()
    same_weights(found["one"], found["two"])
