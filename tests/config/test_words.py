"""Words of other tools, and values written as elsewhere, are answered by what to type."""

import pytest

from tests.helpers.words import checked
from tlcli.config import known, words
from tlcli.config.commands import COMMANDS
from tlcli.config.known import places_of
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest


def told(*given):
    with pytest.raises(ConfigError) as caught:
        checked(*given)
    return str(caught.value)


@pytest.mark.parametrize("word", sorted(words.SAME))
def test_every_word_of_the_table_leads_to_a_key_that_there_is(word):
    group, dot, key = words.SAME[word].partition(".")
    everywhere = frozenset().union(*map(known.keys_of, COMMANDS))
    assert group in everywhere
    assert not dot or words.SAME[word] in places_of(key)
    assert word not in known.keys_of("train"), "it is a key itself"


@pytest.mark.parametrize("key", ["weight_decay", "dropout", "label_smoothing", "path", "momentum"])
def test_a_key_without_its_group_is_named_with_it(key):
    places = places_of(key)
    assert places
    assert f"{places[0]}=0.5" in told("train", f"{key}=0.5")


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("lr=0.1", "lr: there is no such key. Give optimizer.learning_rate=0.1."),
        ("optimizer.lr=0.1", "adamw has no such option. Give optimizer.learning_rate=0.1."),
        ("batch=5", "Give batch_size=5."), ("imgsz=64", "Give image_size=64."),
        ("model=vgg16", "Give backbone=vgg16."), ("device=cuda", "hardware=gpu"),
        ("freeze=10", "finetune=linear_probe"), ("num_classes=3", "Leave it out"),
        ("batch-size=3", "Write batch_size=3."), ("--epochs=3", "Write epochs=3."),
        ("--lr=3", "Give optimizer.learning_rate=3."), ("-epochs=3", "Write epochs=3"),
        ("epochs==4", "Write epochs=4"), ("epochs==3", "Write epochs=3"),
        ("early_stopping=None", "Write early_stopping=null."),
        ("early_stopping=x", "Give a whole number, or null."),
        ("run_dir=None", "Write run_dir=null."), ("optimizer.clip_norm=nil", "clip_norm=null."),
        ("augmentation=null", "Write augmentation=none."), ("teacher=None", "Write teacher=none."),
        ("backbone=null", "got null, which is no option"),
        ("epochs=0,5", "got 0,5. Write 0.5: a point, no comma"),
        ("optimizer=adam,sgd", "Give one of them; to try each, add -m"),
        ("optimizer=AdamW", "Did you mean adamw?"),
    ],
)  # fmt: skip
def test_what_to_type_is_said(given, answer):
    said = told("train", given)
    assert answer in said
    assert "\n" not in said
    assert "hydra" not in said.lower()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("nothing", ["null", "None", "NULL", "~"])
def test_no_group_is_given_nothing_in_words_of_hydras(group, nothing):
    said = told("train", f"{group}={nothing}")
    assert said.startswith(f"{group}: got {nothing}")
    assert "config groups" not in said


def test_a_command_is_told_of_its_own_keys_only():
    assert "optimizer" not in told("eval", "checkpoint=x", "lr=0.1")
    assert "Give image_size=64." in told("predict", "a.jpg", "imgsz=64")
    assert "Give data.path=x." in told("prepare", "data=folder", "path=x", "output=y")


def test_a_comma_in_a_file_is_told_too(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("optimizer: {option: sgd, learning_rate: '0,01'}\n")
    assert "Write 0.01: a point, no comma." in told("train", f"config={recipe}")
    recipe.write_text("wd: 0.1\n")
    assert "Give optimizer.weight_decay=0.1." in told("train", f"config={recipe}")


def test_a_choice_called_none_stays_a_choice():
    assert checked("predict", "a.jpg", "checkpoint=x", "tta=none").settings.tta == "none"


def test_spellings_are_the_same_word():
    assert nearest("AdamW", ["adam", "adamw"]) == "Did you mean adamw?"
    assert nearest("efficientnet-b0", ["efficientnet_b0", "efficientnet_b1"]).endswith("_b0?")
