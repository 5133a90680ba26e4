"""Relative paths of a stored configuration lead to where they led when the run was started."""

import os

import pytest

from tlcli.config.places import placed


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("there/photos", "there/both", "here/both"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_only_what_is_not_here_and_is_there_moves(folders):
    there = str(folders / "there")
    config = {
        "data": {"name": "folder", "path": "photos"}, "unlabelled": "both", "name": "photos",
        "teacher": {"name": "ensemble", "runs": ["photos", "nowhere"], "weights": "imagenet"},
        "run_dir": "photos",
    }  # fmt: skip
    found = placed(config, there)
    assert found["data"] == {"name": "folder", "path": os.path.join(there, "photos")}
    assert found["teacher"]["runs"] == [os.path.join(there, "photos"), "nowhere"]
    for key in ("unlabelled", "name", "run_dir"):
        assert found[key] == config[key]
    assert found["teacher"]["weights"] == "imagenet"
    assert config["data"]["path"] == "photos"


@pytest.mark.parametrize("started", [None, "", "there", 5, ["x"], "/nowhere\0"])
def test_a_folder_that_is_none_moves_nothing(folders, started):
    config = {"data": {"path": "photos"}}
    assert placed(config, started) == config


@pytest.mark.parametrize("path", ["", "~/x", "/photos", "\0", None, 3, {"path": 1}])
def test_other_values_stay(folders, path):
    config = {"data": {"path": path}}
    assert placed(config, str(folders / "there")) == config
