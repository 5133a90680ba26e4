"""Data on a web server as every source reads it, and what happens when the server misbehaves."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.packed import manifest, rows_of, write_parquet, write_tar
from tests.helpers.pictures import encode, make_classes, smooth
from tests.helpers.stores import Web
from tests.helpers.words import checked
from tests.options.data.test_parquet import check_reads
from tlcli.commands import evaluate
from tlcli.config import data_words
from tlcli.config.data_path import found
from tlcli.data.damage import FaultyPictures
from tlcli.errors import ConfigError, DataError
from tlcli.system import remote, remote_cache
from tlcli.system.remote import StoreError
from tlcli.system.remote_files import stand


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of what is fetched; every listing is a new one."""
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_FRESH", -1.0)
    monkeypatch.setattr(remote_cache, "_in_use", [])
    remote_cache.use(tmp_path / "cache", "1GB")
    return remote_cache.current()


@pytest.fixture
def web(tmp_path):
    make_classes(tmp_path / "served" / "photos", {"cat": 5, "dog": 4})
    with Web(tmp_path / "served").running() as server:
        yield server


@pytest.fixture
def rows(web):
    return rows_of(web.folder / "photos")


def test_tables_arrays_and_shards_are_read(web, rows, tmp_path):
    with (web.folder / "photos" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((name, label) for name, _, label in rows)])
    pixels = [np.asarray(Image.open(web.folder / "photos" / name)) for name, *_ in rows]
    numbers = [int(label == "dog") for *_, label in rows]
    np.savez(web.folder / "all.npz", train_data=np.stack(pixels), train_labels=numbers)
    write_parquet(web.folder / "pq" / "train" / "0.parquet", rows, ["cat", "dog"])
    write_tar(web.folder / "tar" / "train-0.tar", rows[:4])
    write_tar(web.folder / "tar" / "train-1.tar", rows[4:])
    for option, place in (("folder", "photos"), ("csv", "photos/labels.csv"), ("npy", "all.npz"),
                          ("parquet", "pq"), ("webdataset", "tar/train-{0..1}.tar")):  # fmt: skip
        one = manifest(option, f"{web.address}/{place}", tmp_path / "cache")
        assert one.labels.tolist() == numbers
        check_reads(one, rows)


def test_an_address_is_a_word_and_told_apart_by_what_is_there(web, rows):
    write_tar(web.folder / "tar" / "train-0.tar", rows)
    assert data_words.is_bare("train", "s3://bucket/split=train/x")
    one = found(f"{web.address}/photos")
    assert (one.option, one.path) == ("folder", f"{web.address}/photos")
    assert found(f"{web.address}/tar/").option == "webdataset"
    assert found(f"{web.address}/tar/train-{{0..3}}.tar").path == (
        f"{web.address}/tar/train-{{0..3}}.tar"
    )
    with pytest.raises(ConfigError, match=r"there is nothing at http://.*/photo\.zip"):
        found(f"{web.address}/photo.zip")


def test_objects_that_are_gone_or_denied_are_left_out_as_files_are(web, tmp_path, cache):
    cache.local(f"{web.address}/photos", "data.path")
    web.fault = lambda number, path: {"0": 404, "1": 403}.get(path[-5]) if "cat" in path else None
    found = manifest("folder", f"{web.address}/photos", tmp_path / "cache", on_error="skip")
    why = dict(found.report["skipped"])
    assert why["cat/0.png"] == "is not there any more"
    assert why["cat/1.png"].startswith("may not be read (403")
    with pytest.raises(DataError, match=r"cat/0\.png: is not there any more \(2 such files\)"):
        manifest("folder", f"{web.address}/photos", tmp_path / "cache")


def test_what_changes_while_it_is_used_is_named(web, tmp_path, cache):
    found = manifest("folder", f"{web.address}/photos", tmp_path / "cache")
    for path in (web.folder / "photos" / "cat").iterdir():
        path.write_bytes(encode(smooth(9)))
    cache.room.limit = 1
    cache.room.evicted()
    cache._listed.clear()
    with pytest.raises(DataError, match=r"cat/2\.png: .*another object than when it was listed"):
        found.images.encoded(2)
    fault = found.images.first_broken(range(9))
    assert not isinstance(fault, FaultyPictures)
    assert "than when it was listed" in str(fault)


@pytest.mark.parametrize("kind", ["folder", "webdataset"])
def test_a_server_that_fails_stops_the_training_and_no_picture_is_blamed(web, rows, tmp_path, kind):
    write_tar(web.folder / "tar" / "train-0.tar", rows)
    place = {"folder": "photos", "webdataset": "tar"}[kind]
    found = manifest(kind, f"{web.address}/{place}", tmp_path / "cache", on_error="skip")
    held = remote_cache.current()
    held.room.limit = 1
    for _, path, status in list(held.room.full()):
        stand(Path(path), status.st_size, status.st_mtime_ns)
    web.fault = lambda number, path: 503
    with pytest.raises(DataError, match=r"cannot be reached \(503.*Run it again"):
        found.images.encoded(3)
    fault = found.images.first_broken(range(9))
    assert not isinstance(fault, FaultyPictures)
    assert not list((tmp_path / "cache").glob("faults-*"))
    with pytest.raises(StoreError, match="cannot be reached"):
        manifest(kind, f"{web.address}/{place}", tmp_path / "other", on_error="skip")


@pytest.mark.parametrize("kind", ["parquet", "webdataset"])
def test_shards_beyond_the_cache_are_read_by_ranges(web, rows, tmp_path, kind):
    for shard in range(3):
        some = [(f"{shard}/{name}", data, label) for name, data, label in rows]
        write_tar(web.folder / "webdataset" / f"train-{shard}.tar", some)
        path = web.folder / "parquet" / f"train-{shard}.parquet"
        write_parquet(path, some, ["cat", "dog"], compression="none")
    sizes = [path.stat().st_size for path in (web.folder / kind).iterdir()]
    held = remote_cache.current()
    held.room.limit = max(sizes) + 1
    found = manifest(kind, f"{web.address}/{kind}", tmp_path / "cache")
    asked = len(web.asked)
    check_reads(
        found, [(f"{s}/{name}", data, label) for s in range(3) for name, data, label in rows]
    )
    ranges = [span for method, _, span in web.asked[asked:] if method == "GET"]
    assert len(ranges) >= 18  # of two of the three shards
    assert sum(status.st_size for *_, status in held.room.full()) <= held.room.limit


@pytest.mark.slow
def test_a_run_in_a_store_is_measured_as_one_on_a_disk(web, digits_run, capsys):
    shutil.copytree(digits_run, web.folder / "run")
    told = []
    for place in (digits_run, f"{web.address}/run"):
        capsys.readouterr()
        assert evaluate.run(checked("eval", f"checkpoint={place}", "format=json")) == 0
        told.append(json.loads(capsys.readouterr().out))
    for one in told:
        one.pop("checkpoint", None)
    assert told[0] == told[1]
    (web.folder / "run" / "model.weights.h5").unlink()
    with pytest.raises(DataError, match=r"model\.weights\.h5|is no"):
        evaluate.run(checked("eval", f"checkpoint={web.address}/run", "format=json"))
