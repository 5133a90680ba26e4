"""Words that give data by its path: any name works, keys and options keep theirs."""

import os
from pathlib import Path

import pytest

from tests.config.test_looking import pictures
from tests.helpers.words import checked
from tlcli.cli import sweep
from tlcli.config import compose, data_words
from tlcli.errors import ConfigError

ODD = (
    "two words", "a,b", "a=b", "ü/ñ", "it's", 'say "so"', "back\\slash", "end\\", "x${y}z", "$x",
    "\\${x}", "${oc.env:HOME}", "two\nlines", "[1]", "{a:b}", "a#b", "a;b", "a:b", "true", "null",
    "'quoted'", " lead", "?*", "data", "epochs", "-m, x", "choice(a,b)", "@x", "1e-3", "~x",
)  # fmt: skip


def classes(folder):
    for name in ("cats", "dogs"):
        pictures(Path(folder) / name)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder with `photos`, of class folders, in it."""
    monkeypatch.chdir(tmp_path)
    classes("photos")
    return tmp_path


def data(*words):
    given = checked(*words).config["data"]
    return given["name"], given.get("path")


@pytest.mark.parametrize("name", ODD)
def test_whatever_a_folder_is_called(name):
    classes(name)
    expected = os.path.normpath(name)
    for word in (f"./{name}", f"data=./{name}", os.path.abspath(name)):
        option, path = data("train", word)
        assert (option, os.path.abspath(path)) == ("folder", os.path.abspath(expected))
    if name not in ("null", "-m, x", "~x"):  # which mean something else
        assert data("train", name) == ("folder", expected)
        assert data("train", f"data={name}") == ("folder", expected)


def test_in_a_sweep_each_path_is_looked_at():
    classes("b b")
    Path("t.csv").write_text("path,label\n")
    words = ["-m", "data=photos/,'b b',t.csv,digits", "epochs=1,2"]
    request = compose.read("train", words)
    assert request.overrides[0] == "++epochs=1,2"
    sweep.validate(request)
    with pytest.raises(ConfigError, match=r"data: there is no file or folder 'gone' .in the job"):
        sweep.validate(compose.read("train", ["-m", "data=photos/,gone"]))


def test_a_comma_in_a_name_is_no_sweep():
    classes("a,b")
    (one,) = {data("train", word) for word in ("a,b", "data=a,b", "./a,b")}
    assert one == ("folder", "a,b")
    overrides = compose.read("train", ["-m", "a,b", "epochs=1,2"]).overrides
    assert "++data.path='a,b'" in overrides


@pytest.mark.parametrize("name", ["folder", "digits", "csv"])
def test_an_option_s_name_wins_and_a_slash_forces_the_path(name):
    classes(name)
    if name == "digits":
        assert data("train", f"data={name}") == ("digits", None)
        assert data("train", name) == ("digits", None)
    else:
        with pytest.raises(ConfigError, match=rf"data={name} is an option.*Type data=\./{name} "):
            checked("train", f"data={name}")
        # Without its path the option cannot be meant.
        assert data("train", name) == ("folder", name)
        assert data("train", name, "data.path=photos") == (name, "photos")
    assert data("train", f"./{name}") == ("folder", name)
    assert data("train", f"data={name}/") == ("folder", name)


def test_a_key_wins_over_a_folder_of_its_name():
    classes("epochs=3")
    given = checked("train", "epochs=3").config
    assert (given["epochs"], given["data"]["name"]) == (3, "digits")
    assert data("train", "./epochs=3") == ("folder", "epochs=3")
    classes("width=3")
    assert data("train", "width=3") == ("folder", "width=3")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos", "./photos"], r"data: got './photos' and './photos'\. Give one of them; in"),
        (["data=digits", "photos"], "data: got 'digits' and 'photos'"),
        (["data=photos/", "data.path=photos"], "data: got 'photos/', and data.path too"),
        (["epochs"], "epochs: is not key=value"),
        (["phtos"], r"there is no file or folder 'phtos'\. Did you mean photos\?"),
        (["photos", "data.classes=[1]"], "data.classes: folder has no such option"),
    ],
)
def test_words_that_mean_nothing(words, said):
    with pytest.raises(ConfigError, match=said):
        checked("train", *words)


def test_keys_of_the_option_still_apply():
    given = checked("train", "photos", "data.validation_fraction=0.3").config["data"]
    assert given["validation_fraction"] == 0.3
    assert set(given) == set(checked("train", "data=folder", "data.path=photos").config["data"])


def test_data_path_alone_is_told_apart_but_changes_a_run_s_own_data_in_eval():
    assert data("train", "data.path=photos") == ("folder", "photos")
    assert checked("eval", "data.path=photos").config["data"] == {"path": "photos"}
    assert data("eval", "photos") == ("folder", "photos")


def test_other_commands_take_it_as_well():
    for words in (["preview"], ["find-lr"], ["bench"], ["prepare", "output=x"], ["eval"],
                  ["init", "mine"]):  # fmt: skip
        assert data(*words, "photos") == ("folder", "photos")
    assert not data_words.takes_data("predict")
    assert checked("predict", "photos").settings.images == ("photos",)


def test_eval_and_verify_take_a_run_as_a_bare_word():
    Path("run").mkdir()
    Path("run/config.json").write_text("{}")
    assert checked("eval", "run").settings.checkpoint == "run"
    given = checked("eval", "run", "photos")
    assert (given.settings.checkpoint, given.config["data"]["path"]) == ("run", "photos")


@pytest.mark.parametrize(
    "text",
    ["data: photos/\n", "data: {path: photos}\n", "data: ./photos\n", "data:\n  path: photos/\n"],
)
def test_recipes_take_paths_too(text):
    Path("mine.yaml").write_text(text)
    assert data("train", "config=mine.yaml") == ("folder", "photos")
    assert data("train", "config=mine.yaml", "data=digits") == ("digits", None)
    classes("other")
    assert data("train", "config=mine.yaml", "other") == ("folder", "other")
    assert data("train", "config=mine.yaml", "data.path=other") == ("folder", "other")
    given = checked("train", "config=mine.yaml", "data.test_fraction=0.4").config["data"]
    assert given["test_fraction"] == 0.4


def test_a_recipe_s_other_data_make_room_for_a_path():
    assert data("train", "config=quickstart", "photos") == ("folder", "photos")
    Path("mine.yaml").write_text("data: {option: csv, path: a.csv, label_separator: ;}\n")
    assert data("train", "config=mine.yaml") == ("csv", "a.csv")
    assert data("train", "config=mine.yaml", "photos") == ("folder", "photos")
