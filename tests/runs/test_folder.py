"""Where a run lies, and what its folder says of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.errors import ConfigError, TlError
from tlcli.runs import folder


def job(*words):
    return train_job(config("train", *words))


def test_a_folder_is_found_and_a_strangers_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder.find_run_dir(job("name=mine")).parent == folder.Path("runs/mine")
    run_dir = tmp_path / "run"
    assert folder.find_run_dir(job(f"run_dir={run_dir}")) == run_dir
    run_dir.mkdir()
    (run_dir / "other.txt").touch()
    with pytest.raises(ConfigError, match="holds other files"):
        folder.find_run_dir(job(f"run_dir={run_dir}"))
    (run_dir / "config.json").write_text("{}")
    assert folder.find_run_dir(job(f"run_dir={run_dir}")) == run_dir


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = folder.find_run_dir(job())
    assert folder.find_run_dir(job()) != first


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    given = job("run_dir=run")
    refused = pytest.raises(TlError, match="cannot be made or written")
    with refused, folder.claimed(given, tmp_path / "file" / "run"):
        pass


def test_the_split_names_each_image_with_its_classes(tmp_path):
    manifest = SimpleNamespace(
        ids=["a", "b,c", "d"], labels=np.array([1, 0, -1]), splits=np.array([0, 2, 0]),
        class_names=("cat", "dog"), multi_label=False,
    )  # fmt: skip
    folder.write_split(manifest, tmp_path)
    text = (tmp_path / "split.csv").read_text()
    assert text == 'id,class,split\na,dog,train\n"b,c",cat,test\nd,,train\n'
    manifest.labels, manifest.multi_label = np.array([[1, 1], [0, 1], [0, 0]]), True
    assert list(folder.class_texts(manifest)) == ["cat|dog", "dog", ""]


def test_only_the_chief_writes(tmp_path):
    other = folder.RunFolder(tmp_path, is_chief=False, retry=0.0)
    other.begin(None, None)
    other.write(None, {}, {}, {})
    (tmp_path / "state").mkdir()
    other.forget_state()
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    folder.RunFolder(tmp_path, is_chief=True, retry=0.0).forget_state()
    assert not list(tmp_path.iterdir())
    assert other.inside("peers").path == tmp_path / "peers"
