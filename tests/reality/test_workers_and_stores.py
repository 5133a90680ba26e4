"""Several workers write to an S3 what one process writes on a disk."""

import json

import numpy as np
import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.runs import FEW, process, read_weights
from tests.helpers.stores import bucket, objects


@pytest.fixture
def store(monkeypatch):
    with bucket(monkeypatch) as client:
        yield client


def tl(folder, *words):
    done = process(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done


def download(client, prefix, folder):
    folder.mkdir()
    for key in objects(client):
        if key.startswith(f"{prefix}/") and "/" not in key.removeprefix(f"{prefix}/"):
            content = client.get_object(Bucket="bucket", Key=key)["Body"].read()
            (folder / key.removeprefix(f"{prefix}/")).write_bytes(content)
    return folder


@pytest.mark.slow
def test_they_prepare_the_same_shards(store, tmp_path):
    make_classes(tmp_path / "photos", {"cat": 30, "dog": 20})
    words = ("prepare", "photos", f"cache_dir={tmp_path / 'listed'}")
    tl(tmp_path, *words, "output=here")
    tl(tmp_path, "launch", "2", "--", *words, "output=s3://bucket/shards")
    here, there = tmp_path / "here", download(store, "shards", tmp_path / "there")
    names = {path.name for path in here.iterdir()}
    assert {path.name for path in there.iterdir()} == names
    shards = [name for name in names if name.endswith(".tfrecord")]
    assert len(shards) == 3
    for name in shards:
        assert (there / name).read_bytes() == (here / name).read_bytes()
    assert json.loads((there / "prepared.json").read_text())["complete"]
    assert not {key for key in objects(store) if key.endswith(".lock")}


@pytest.mark.slow
def test_they_train_the_same_run(store, tmp_path):
    words = ("train", "epochs=2", *FEW, "backbone=tiny", "report=false", "optimizer=sgd",
             "finetune=full", "calibrate=false", "hardware.threads=1")  # fmt: skip
    tl(tmp_path, *words, "run_dir=here")
    run = "run_dir=s3://bucket/runs/two"
    tl(tmp_path, "launch", "2", "--", *words, run)
    there = download(store, "runs/two", tmp_path / "there")
    ours, theirs = (
        np.concatenate([array.ravel() for array in read_weights(one).values()])
        for one in (tmp_path / "here", there)
    )
    assert np.linalg.norm(theirs - ours) <= 1e-5 * np.linalg.norm(ours)
    assert not {key for key in objects(store) if key.endswith(".lock")}
    again = tl(tmp_path, "launch", "2", "--", *words, run)
    assert "is finished" in again.stderr
