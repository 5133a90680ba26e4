"""A run whose data has a relative path is used from any folder."""

import json

import pytest

from tests.helpers.marks import LONG
from tests.helpers.pictures import make_classes
from tests.helpers.runs import same_weights
from tests.helpers.stopped import Interrupted, stop_after
from tests.helpers.words import checked
from tlcli.commands import evaluate, train
from tlcli.runs import checkpoint

WORDS = (
    "data=folder", "data.path=photos", "backbone=tiny", "auto=false", "image_size=32",
    "finetune=linear_probe", "epochs=2",
    "batch_size=4", "save_every=1steps", "calibrate=false",
)  # fmt: skip


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run that was broken off, and its unbroken twin; now we are elsewhere."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    make_classes(tmp_path / "a" / "photos", {"cat": 12, "dog": 12})
    assert train.run(checked("train", "run_dir=whole", *WORDS)) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train.run(checked("train", "run_dir=run", *WORDS))
    monkeypatch.chdir(tmp_path / "b")
    return tmp_path / "a"


def test_it_is_gone_on_with_measured_and_extended_from_elsewhere(begun, capsys):
    assert train.run(checked("train", f"resume={begun / 'run'}")) == 0
    same_weights(begun / "whole", begun / "run")
    config = json.loads((begun / "run" / "config.json").read_text())
    assert config["data"]["path"] == "photos"
    assert config["started_in"] == str(begun) == checkpoint.started_in(begun / "run")
    assert "started_in" not in checkpoint.read_config(begun / "run")
    assert evaluate.run(checked("eval", f"checkpoint={begun / 'run'}")) == 0
    assert f"images of {begun / 'photos'}" in capsys.readouterr().out
    assert train.run(checked("train", f"resume={begun / 'run'}")) == 0
    assert "Whether its data is still the same was not looked at" in capsys.readouterr().err
    extended = checked("train", f"extend={begun / 'run'}", "epochs=+1").job
    assert extended.data.path == str(begun / "photos")


TAUGHT = ("distillation=kd", "teacher=run", "teacher.path=whole", "teacher.minimum_accuracy=0")
PARTS = {
    "generations": ("distillation=kd", "generations=2"),
    "assistants": (*TAUGHT, "assistants=[{name: tiny}]"),
    "control": (*TAUGHT, "control=true"),
}


@pytest.mark.parametrize("saves", [2, pytest.param(8, marks=LONG)])
@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_a_run_are_gone_on_with_from_elsewhere(tmp_path, monkeypatch, part, saves):
    words = (*WORDS, *PARTS[part])
    (tmp_path / "b").mkdir()
    make_classes(tmp_path / "a" / "photos", {"cat": 12, "dog": 12})
    monkeypatch.chdir(tmp_path / "a")
    assert train.run(checked("train", "run_dir=whole", *WORDS)) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, saves)
        with pytest.raises(Interrupted):
            train.run(checked("train", "run_dir=run", *words))
    monkeypatch.chdir(tmp_path / "b")
    run = tmp_path / "a" / "run"
    assert train.run(checked("train", f"resume={run}")) == 0
    inner = [path.parent for path in run.glob("*/config.json")]
    assert inner
    for one in inner:
        assert checkpoint.is_finished(one)
        assert checkpoint.started_in(one) == str(tmp_path / "a")
        assert evaluate.run(checked("eval", f"checkpoint={one}")) == 0
    assert not list((tmp_path / "b").iterdir())
