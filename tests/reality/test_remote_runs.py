"""What commands write to an S3 is what they write on a disk, whole or not whatever cuts them."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.runs import FEW, environment, process, same_weights, train_digits
from tests.helpers.stopped import SHORT, Interrupted, stop_after
from tests.helpers.stores import KEY, SECRET, Web, bucket, objects, refusing, upload
from tests.helpers.words import checked
from tlcli.cli import seeds
from tlcli.commands import audit, evaluate, explain, export, gather, pack, predict, prepare, train
from tlcli.config.data_path import found
from tlcli.errors import ConfigError, DataError
from tlcli.runs import remote_file
from tlcli.system import remote, remote_cache
from tlcli.system.remote import StoreError

RUN = "s3://bucket/runs/one"
WORDS = ("epochs=2", *FEW, "backbone=tiny", "report=false")


@pytest.fixture(autouse=True)
def _quick(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_FRESH", -1.0)
    monkeypatch.setattr(remote_cache, "_in_use", [])
    remote_cache.use(tmp_path / "cache", "1GB")
    yield
    remote_file.release_all()


@pytest.fixture
def store(monkeypatch):
    with bucket(monkeypatch) as client:
        yield client


def trained(*words):
    return train.run(checked("train", *WORDS, *words))


def elsewhere(path):
    """Go on as another machine would: with an empty cache."""
    remote_cache.use(path, "1GB")


def download(client, prefix, folder):
    for key in objects(client):
        if key.startswith(f"{prefix}/"):
            path = folder / key.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(client.get_object(Bucket="bucket", Key=key)["Body"].read())
    return folder


@pytest.mark.slow
def test_a_run_in_a_store_is_that_on_a_disk(store, tmp_path, capsys):
    assert trained(f"run_dir={RUN}") == 0
    train_digits(tmp_path / "here")
    there = download(store, "runs/one", tmp_path / "there")
    assert {p.name for p in there.iterdir()} == {
        p.name for p in (tmp_path / "here").iterdir()} - {"run.lock"}  # fmt: skip
    same_weights(tmp_path / "here", there)
    assert str(tmp_path / "cache" / "sending") not in (there / "train.log").read_text()
    assert not list((tmp_path / "cache" / "sending").iterdir())
    for path in (*there.rglob("*"), *(tmp_path / "cache").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert KEY.encode() not in data, path
    capsys.readouterr()
    assert trained(f"run_dir={RUN}") == 0
    assert f"{RUN} is finished" in capsys.readouterr().err
    assert evaluate.run(checked("eval", f"checkpoint={RUN}", "format=json",
                                "output=s3://bucket/figures.json",
                                "predictions=s3://bucket/said.npz")) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert json.loads(store.get_object(Bucket="bucket", Key="figures.json")["Body"].read()) == told
    assert told["accuracy"] == json.loads((there / "metrics.json").read_text())["test"]["accuracy"]
    assert {"said.npz", "figures.json"} <= objects(store)
    assert not {key for key in objects(store) if key.endswith(".lock")}


@pytest.mark.slow
def test_another_machine_goes_on_to_the_same_weights(store, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            trained(f"run_dir={RUN}", "finetune=linear_probe", *SHORT)
    assert "runs/one/model.weights.h5" not in objects(store)
    states = {key for key in objects(store) if "/state/" in key}
    assert len(states) == 4
    elsewhere(tmp_path / "other" / "cache")
    with pytest.raises(DataError, match=rf"runs/one: has no model\.weights\.h5, .*resume={RUN}"):
        evaluate.run(checked("eval", f"checkpoint={RUN}"))
    assert train.run(checked("train", f"resume={RUN}")) == 0
    train_digits(tmp_path / "unbroken", "finetune=linear_probe", *SHORT)
    same_weights(tmp_path / "unbroken", download(store, "runs/one", tmp_path / "there"))
    assert not {key for key in objects(store) if "/state/" in key}


@pytest.mark.slow
def test_a_training_goes_on_while_the_store_fails_and_ends_with_what_to_do(
    store, tmp_path, monkeypatch, capsys
):
    told = r"model\.weights\.h5: cannot be reached .*is whole"
    with refusing(monkeypatch, 503, "model.weights.h5"), pytest.raises(StoreError, match=told):
        trained(f"run_dir={RUN}")
    assert "runs/one/metrics.json" in objects(store)
    assert "runs/one/model.weights.h5" not in objects(store)
    capsys.readouterr()
    assert trained(f"run_dir={RUN}") == 0
    assert "holds what was not sent" in capsys.readouterr().err
    train_digits(tmp_path / "here")
    same_weights(tmp_path / "here", download(store, "runs/one", tmp_path / "there"))


@pytest.mark.slow
def test_a_process_killed_between_two_objects_leaves_no_promise(store, tmp_path):
    script = (
        "import os, sys; from tlcli.system import remote_writing\n"
        "put = remote_writing.put\n"
        "def killing(path, address):\n"
        "    if address.endswith('model.weights.h5'): os._exit(9)\n"
        "    return put(path, address)\n"
        "remote_writing.put = killing\n"
        "from tlcli.cli.main import run; sys.exit(run(sys.argv[1:]))\n"
    )
    words = ("train", *WORDS, f"run_dir={RUN}", f"cache_dir={tmp_path / 'cache'}")
    line = [sys.executable, "-c", script, *words]
    done = subprocess.run(line, env=environment(), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 9, done.stderr
    there = objects(store)
    assert "runs/one/metadata.json" in there
    assert "runs/one/run.lock" in there
    assert "runs/one/model.weights.h5" not in there
    told = process("eval", f"checkpoint={RUN}", cwd=tmp_path)
    assert told.returncode == 1
    assert "has no model.weights.h5, so the run did not finish" in told.stderr
    again = process(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "which is gone; this process goes on" in again.stderr
    assert "runs/one/model.weights.h5" in objects(store)
    assert "runs/one/run.lock" not in objects(store)


def test_a_begun_run_of_others_and_addresses_that_are_only_read_are_refused(store):
    store.put_object(Bucket="bucket", Key="runs/one/cat.jpg", Body=b"cat")
    for words, message in (
        ((f"run_dir={RUN}",), r"^run_dir: s3://bucket/runs/one holds other files"),
        (("run_dir=https://host/run",), r"^run_dir: nothing can be written to https://"),
        (("resume=s3://bucket/none",), r"^resume: s3://bucket/none is no run folder"),
    ):
        with pytest.raises(ConfigError, match=message):
            trained(*words)
    assert objects(store) == {"runs/one/cat.jpg"}


@pytest.fixture
def shop(store, pictures, tmp_path):
    """Pictures in the store, and a run of them there."""
    upload(store, pictures, "photos")
    run = train_digits(tmp_path / "run", "data=folder", f"data.path={pictures}",
                       "finetune=linear_probe")  # fmt: skip
    upload(store, run, "model")
    return store


def rows_of(store, key):
    body = store.get_object(Bucket="bucket", Key=key)["Body"].read().decode()
    return [json.loads(line) for line in body.splitlines()]


def test_pictures_in_a_store_are_named_and_shares_joined_there(shop, pictures, tmp_path, capsys):
    def rows(*words):
        capsys.readouterr()
        assert predict.run(checked("predict", "format=jsonl", *words)) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    here = rows(str(pictures), f"checkpoint={tmp_path / 'run'}")
    there = rows("s3://bucket/photos", "checkpoint=s3://bucket/model")
    for one, other in zip(here, there, strict=True):
        name = Path(one.pop("path")).relative_to(pictures)
        assert other.pop("path") == f"s3://bucket/photos/{name}"
        assert one == other
    single = rows("s3://bucket/photos/square/3.png", "s3://bucket/photos/round/1.png",
                  "s3://bucket/photos/round/1[01].png", "checkpoint=s3://bucket/model")  # fmt: skip
    assert [row["path"].rpartition("photos/")[2] for row in single] == [
        "square/3.png", "round/1.png", "round/10.png", "round/11.png"]  # fmt: skip
    for share in (1, 2):
        words = ("s3://bucket/photos", f"shard={share}/2", "batch_size=8",
                 "checkpoint=s3://bucket/model",
                 f"output=s3://bucket/out/part-{share}.jsonl")  # fmt: skip
        assert predict.run(checked("predict", *words)) == 0
    parts = [f"s3://bucket/out/part-{share}.jsonl" for share in (2, 1)]
    assert gather.run(checked("gather", *parts, "output=s3://bucket/out/all.jsonl")) == 0
    assert [row["path"] for row in rows_of(shop, "out/all.jsonl")] == [
        f"s3://bucket/photos/{folder}/{name}.png" for folder in ("round", "square")
        for name in sorted(map(str, range(12)))]  # fmt: skip
    # What tl wrote is replaced, what it did not is not.
    assert gather.run(checked("gather", *parts, "output=s3://bucket/out/all.jsonl")) == 0
    shop.put_object(Bucket="bucket", Key="out/all.jsonl", Body=b"mine")
    with pytest.raises(ConfigError, match=r"all\.jsonl is there, and tl did not write it"):
        gather.run(checked("gather", *parts, "output=s3://bucket/out/all.jsonl"))
    assert not {key for key in objects(shop) if key.endswith(".lock")}


def test_exports_packs_pages_and_explanations_go_to_the_store(shop, pictures, tmp_path, capsys):
    shop.delete_object(Bucket="bucket", Key="photos/round/0.png")
    assert export.run(checked("export", "checkpoint=s3://bucket/model", "format=keras")) == 0
    assert capsys.readouterr().out == "s3://bucket/model/export/keras\n"
    assert "model/export/keras/manifest.json" in objects(shop)
    assert pack.run(checked("pack", "s3://bucket/model", "output=s3://bucket/packed.zip")) == 0
    capsys.readouterr()
    for given in ("s3://bucket/model/export/keras", "s3://bucket/packed.zip"):
        words = ("s3://bucket/photos/square/1.png", f"checkpoint={given}", "format=jsonl")
        assert predict.run(checked("predict", *words)) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["label"] == second["label"]
    assert (
        explain.run(
            checked(
                "explain",
                "s3://bucket/photos/square/1.png",
                "checkpoint=s3://bucket/model",
                "output=s3://bucket/heat",
            )
        )
        == 0
    )
    assert "heat/explained.csv" in objects(shop)
    table = shop.get_object(Bucket="bucket", Key="heat/explained.csv")["Body"].read().decode()
    (row,) = csv.DictReader(table.splitlines())
    assert row["path"] == "s3://bucket/photos/square/1.png"
    assert row["output"].removeprefix("s3://bucket/") in objects(shop)
    assert not list((tmp_path / "cache" / "sending").iterdir())


def test_shards_are_prepared_in_the_store_and_read_there(store, tmp_path, monkeypatch, capsys):
    make_classes(tmp_path / "photos", {"cat": 9, "dog": 8})
    upload(store, tmp_path / "photos", "photos")
    words = ("data=folder", "data.path=s3://bucket/photos", "output=s3://bucket/shards")
    refused = pytest.raises(StoreError, match=r"prepared\.json: cannot be reached")
    with refusing(monkeypatch, 503, "prepared.json"), refused:
        prepare.run(checked("prepare", *words))
    assert not {key for key in objects(store) if key.endswith("prepared.json")}
    assert prepare.run(checked("prepare", *words)) == 0
    assert found("s3://bucket/shards").option == "tfrecord"
    assert prepare.run(checked("prepare", *words)) == 0
    assert "shards are there and whole" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"shards was made from other data or options"):
        prepare.run(checked("prepare", *words, "shrink=16"))


def test_addresses_where_nothing_is_are_told_by_their_rows(digits_run, tmp_path, capsys):
    make_classes(tmp_path / "served" / "photos", {"cat": 2})
    with Web(tmp_path / "served").running() as web:
        words = (f"checkpoint={digits_run}", "format=jsonl")
        assert predict.run(checked("predict", f"{web.address}/photos/cat/1.png", *words)) == 0
        assert json.loads(capsys.readouterr().out)["path"] == f"{web.address}/photos/cat/1.png"
        with pytest.raises(ConfigError, match=r"^images: there is nothing at http://.*/none\.png"):
            predict.run(checked("predict", f"{web.address}/none.png", *words))
        web.fault = lambda number, path: 404 if path.endswith("0.png") else None
        assert predict.run(checked("predict", f"{web.address}/photos", *words)) == 1
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert first["error"] == "is not there any more"
        assert "label" in second
        web.fault = lambda number, path: 503
        shutil.rmtree(remote_cache.current().root)
        with pytest.raises(StoreError, match="cannot be reached"):
            predict.run(checked("predict", f"{web.address}/photos", *words))


def test_an_audit_goes_to_the_store(store, tmp_path, capsys):
    make_classes(tmp_path / "photos", {"cat": 9, "dog": 8})
    words = ("data=folder", f"data.path={tmp_path / 'photos'}", "backbone=tiny")
    assert audit.run(checked("audit", *words, "output=s3://bucket/audit")) == 0
    assert {"audit/audit.html", "audit/audit.csv"} <= objects(store)
    assert capsys.readouterr().out == "s3://bucket/audit\n"


def test_what_is_read_is_not_written_into(store, tmp_path):
    make_classes(tmp_path / "photos", {"cat": 4, "dog": 4})
    upload(store, tmp_path / "photos", "photos")
    before = objects(store)
    words = ("data=folder", "data.path=s3://bucket/photos", "output=s3://bucket/photos/audit")
    with pytest.raises(ConfigError, match=r"^output: s3://bucket/photos/audit lies in the data"):
        audit.run(checked("audit", *words, "backbone=tiny"))
    with pytest.raises(ConfigError, match=r"^output: .*audit lies in the data"):
        prepare.run(checked("prepare", *words))
    assert objects(store) == before
    with pytest.raises(ConfigError, match=r"^run_dir: several runs lie on this machine"):
        seeds.swept(["seeds=2", f"run_dir={RUN}"])
