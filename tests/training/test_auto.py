"""The recipe of config=auto: what the facts decide, what a person typed, and the file it leaves."""

import json

import pytest
import yaml

from tests.helpers.words import checked, config
from tlcli.cli import main
from tlcli.commands import train
from tlcli.config import recipe
from tlcli.training import auto


def comparable(config):
    left_out = ("auto", "run_dir", "name", "resume", "started_in")
    return {k: v for k, v in json.loads(json.dumps(config)).items() if k not in left_out}


@pytest.fixture(scope="module")
def auto_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auto") / "run"
    words = ["config=auto", "data.images_per_class=8", "epochs=1", f"run_dir={folder}"]
    assert main.run(["train", *words]) == 0
    return folder, words


def test_the_saved_recipe_composes_into_the_same_configuration(auto_run):
    folder, _ = auto_run
    stored = json.loads((folder / "config.json").read_text())
    assert stored["finetune"]["name"] == "lp_ft"
    again = config("train", f"config={folder / 'auto.yaml'}")
    assert not again["auto"]
    assert comparable(again) == comparable(stored)


def test_the_saved_recipe_says_why_and_can_be_edited(auto_run, tmp_path):
    folder, _ = auto_run
    text = (folder / "auto.yaml").read_text()
    assert "option: lp_ft  # pretrained weights keep best this way" in text
    assert "epochs: 1  # as you typed" in text
    edited = tmp_path / "mine.yaml"
    edited.write_text(text.replace("option: lp_ft", "option: full"))
    assert config("train", f"config={edited}")["finetune"]["name"] == "full"


@pytest.mark.parametrize(
    "word",
    ["distillation=[kd,at]", "backbone=mobilenet_v2", "loss=focal", "data.classes=[1,2]",
     "resize=pad", "early_stopping=3"],
)  # fmt: skip
def test_any_configuration_can_be_written_as_a_recipe(tmp_path, word):
    given = config("train", word)
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.written(given, {}))
    assert comparable(config("train", f"config={file}")) == comparable(given)
    assert len(yaml.safe_load(file.read_text())) == 1


def test_a_run_that_was_begun_keeps_its_choices(auto_run, monkeypatch):
    folder, words = auto_run
    monkeypatch.setattr(auto, "gather", lambda job: pytest.fail("looked again"))
    stored = json.loads((folder / "config.json").read_text())
    for given in (checked("train", *words), checked("train", f"resume={folder}")):
        job = train.settled_job(given.job, folder, given.typed)
        assert comparable(job.config) == comparable(stored)


def test_the_choices_are_shown_with_their_reasons(tl, pictures):
    done = tl("train", "config=auto", "data=folder", f"data.path={pictures}", "plan_only=true",
              "finetune=full", "backbone=tiny", "verbose=true")  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("auto  ")]
    assert "auto       finetune=full: as you typed" in lines
    assert any(line.startswith("auto       epochs=40: 16 images, pretrained") for line in lines)
    assert all(": " in line and len(line) <= 110 for line in lines)


@pytest.mark.slow
def test_in_a_sweep_what_was_typed_wins_too(tl, tmp_path):
    done = tl("train", "-m", "config=auto", "epochs=1,0.5", "data.images_per_class=4",
              "finetune=linear_probe", "hydra.sweep.dir=out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for number, epochs in enumerate((1, 0.5)):
        stored = json.loads((tmp_path / "out" / str(number) / "config.json").read_text())
        assert (stored["epochs"], stored["finetune"]["name"]) == (epochs, "linear_probe")
