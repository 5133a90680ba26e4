"""What the data decide where nothing was typed: the option, the backbone, and all of a recipe."""

from pathlib import Path

import pytest

from tests.config.test_data_words import classes
from tests.config.test_looking import pictures
from tests.helpers.words import checked
from tlcli.errors import ConfigError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes("photos")


def chosen(*words):
    config = checked(*words).config
    return config["auto"], config["backbone"]["name"]


@pytest.mark.parametrize(
    ("words", "auto", "backbone"),
    [
        (["photos"], True, "auto"),
        (["data=photos/"], True, "auto"),
        (["data.path=photos"], True, "auto"),
        (["data=folder", "data.path=photos"], True, "auto"),
        (["data=folder", "data.path=photos", "run_dir=x", "seed=3"], True, "auto"),
        (["photos", "data.test_fraction=0.3"], True, "auto"),
        # Whatever is typed beside a path wins; the rest is chosen.
        (["photos", "epochs=3"], True, "auto"),
        (["photos", "backbone=tiny", "finetune=full"], True, "tiny"),
        (["photos", "auto=false"], False, "auto"),
        (["photos", "auto=false", "backbone=tiny"], False, "tiny"),
        # A training in other words is what it was, but for the network of photos.
        (["data=folder", "data.path=photos", "epochs=3"], False, "auto"),
        (["data=folder", "data.path=photos", "backbone=tiny"], False, "tiny"),
        # Digits keep theirs.
        ([], False, "tiny"),
        (["data=digits"], False, "tiny"),
        (["digits", "epochs=3"], False, "tiny"),
        (["config=auto"], True, "tiny"),
        # A recipe that says more than its data is taken as it is.
        (["config=quickstart", "photos"], False, "tiny"),
        (["config=only_data.yaml"], True, "auto"),
        (["config=only_data.yaml", "epochs=3"], False, "auto"),
        (["config=more.yaml"], False, "tiny"),
    ],
)
def test_where_nothing_but_the_data_is_given_auto_chooses(words, auto, backbone):
    Path("only_data.yaml").write_text("data: photos/\n")
    Path("more.yaml").write_text("data: photos/\nbackbone: tiny\nepochs: 2\n")
    assert chosen("train", *words) == (auto, backbone)


def test_what_it_chose_is_said():
    assert checked("train", "photos").said == (
        "found      photos: 2 class folders, cats, dogs (data=folder data.path=photos)",
    )
    assert checked("train").said == ()


def test_keys_of_the_backbone_that_were_typed_stay():
    config = checked("train", "photos", "backbone.weights=none").config
    assert (config["backbone"]["name"], config["backbone"]["weights"]) == ("auto", "none")


def test_photos_without_labels_need_a_teacher():
    pictures(Path("loose"))
    for command in ("train", "preview", "find-lr"):
        with pytest.raises(ConfigError, match=r"loose has photos without labels.*teacher=run"):
            checked(command, "loose")
    config = checked("train", "loose", "teacher=file", "teacher.path=t.npz", "distillation=kd",
                     "backbone=tiny").config  # fmt: skip
    assert config["data"]["name"] == "photos"
    assert not config["auto"]


def test_a_run_that_goes_on_keeps_what_it_has(tmp_path):
    assert chosen("train", "resume=run", "data=folder", "data.path=photos") == (False, "tiny")


def test_init_looks_around_where_no_data_is_named():
    assert checked("init", "mine").config["data"]["path"] == "photos"
    assert chosen("init", "mine", "photos", "epochs=3") == (True, "auto")
    classes("more")
    with pytest.raises(ConfigError, match=r"no value, and here .*Name the data: tl init NAME"):
        checked("init", "mine")


@pytest.mark.parametrize("words", [[], ["."], ["/"]])
def test_init_needs_a_name(words):
    with pytest.raises(ConfigError, match=r"recipe: .*tl init mine photos"):
        checked("init", *words, "data=digits")


def test_a_class_taken_for_data_is_told_with_the_folder_above_it():
    folder = next(one.name for one in sorted(Path("photos").iterdir()))
    said = r"without labels.*one of the classes in photos, type data=photos\. "
    with pytest.raises(ConfigError, match=said):
        checked("train", f"photos/{folder}")
    pictures(Path("deep/alone"))
    with pytest.raises(ConfigError) as caught:
        checked("train", "deep/alone")
    assert "one of the classes" not in str(caught.value)
