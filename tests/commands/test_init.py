"""`tl init`: a recipe that composes into what was chosen, its reasons beside it."""

import os

import pytest
import yaml

from tests.helpers.words import checked, config
from tlcli.cli import main
from tlcli.commands import init


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_recipe_says_what_was_chosen_and_why(tmp_path, capsys):
    assert main.run(["init", "mine", "data=digits", "data.images_per_class=8", "seed=3"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "mine.yaml\n"
    assert shown.err.splitlines()[-1].endswith("tl train config=mine.yaml")
    text = (tmp_path / "mine.yaml").read_text()
    assert "option: lp_ft  # pretrained weights keep best this way" in text
    given = config("train", "config=mine.yaml")
    assert (given["finetune"]["name"], given["seed"], given["auto"]) == ("lp_ft", 3, False)
    assert given["data"]["images_per_class"] == 8
    # What is offered beside stands at its default, with its meaning, and works when it is set.
    offered = [line[2:] for line in text.splitlines() if line.startswith("# early_stopping: null")]
    assert len(offered) == 1
    (tmp_path / "mine.yaml").write_text(text.replace(f"# {offered[0]}", "early_stopping: 4"))
    assert config("train", "config=mine.yaml")["early_stopping"] == 4
    assert not any(line.startswith("# seed:") for line in text.splitlines())


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_stays(tmp_path, capsys, there):
    path = tmp_path / "mine.yaml"
    if there == "file":
        path.write_text("epochs: 3\n")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    assert main.run(["init", "mine", "data=digits"]) == 2
    assert "recipe: mine.yaml is there. Give another name, or overwrite=true." in (
        capsys.readouterr().err
    )
    own = checked("init", "mine", "data=digits", "overwrite=true").settings
    if there == "file":
        assert init.place(own) == path.relative_to(tmp_path)
        assert path.read_text() == "epochs: 3\n"
    else:
        assert main.run(["init", "mine", "data=digits", "overwrite=true"]) == 2
    assert os.path.lexists(path)


def test_a_name_may_have_its_ending_and_a_folder(tmp_path):
    for name in ("a.yaml", "b/a", "ü b"):
        own = checked("init", name, "data=digits").settings
        expected = name if name.endswith(".yaml") else f"{name}.yaml"
        assert str(init.place(own)) == expected


def test_names_in_comments_cannot_leave_them(tmp_path):
    text = init.text_of(tmp_path / "a.yaml", config("train"), {}, ["found      a\nepochs: 9: x"])
    assert yaml.safe_load(text) is None
