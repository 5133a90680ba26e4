"""What a command is given: its settings, its training or its options, and what was typed."""

import json

import pytest

from tests.helpers.words import checked, config
from tlcli.config import checking
from tlcli.config.commands import COMMANDS
from tlcli.config.job import train_job
from tlcli.config.settings import Listing, Predict
from tlcli.errors import ConfigError


def test_a_command_without_a_training_is_given_its_options(pictures):
    given = checked("prepare", "data=folder", f"data.path={pictures}", "output=shards")
    assert given.job is None
    assert given.options["data"].path == str(pictures)
    given = checked("predict", "a.jpg", "backbone=mobilenet", "top=2")
    assert isinstance(given.settings, Predict)
    assert [*given.options] == ["backbone"]
    assert given.settings.images == ("a.jpg",)


def test_keys_without_an_option_change_a_checkpoints():
    given = checked("eval", "checkpoint=run", "data.path=other")
    assert given.options == {}
    assert given.config["data"] == {"path": "other"}
    with pytest.raises(ConfigError, match=r"^backbone\.name: no value"):
        checked("predict", "a.jpg", "backbone.weights=none")


def test_an_option_that_must_be_there_is_asked_for():
    values = {"output": "x", "shard_size": 1, "shrink": None, "seed": 0, "workers": 1,
              "cache_dir": None}  # fmt: skip
    with pytest.raises(ConfigError, match=r"^data\.name: no value. Give data=NAME"):
        checking.check("prepare", values)


def test_plain_words_alone_are_checked_too():
    assert checking.check("list", {"groups": ["head"], "sort": "name"}).settings == Listing(
        ("head",), "name"
    )
    with pytest.raises(ConfigError, match=r"no group 'haed'. Did you mean head"):
        checking.check("list", {"groups": ["haed"], "sort": "name"})


def test_a_stored_teacher_is_verified_by_the_runs_own_configuration(tmp_path):
    stored = config("train", "epochs=2", "plan_only=true")
    (tmp_path / "config.json").write_text(json.dumps(stored))
    given = checked("teacher", f"checkpoint={tmp_path}", "epochs=77")
    assert (given.job.settings.epochs, given.config["epochs"]) == (2, 77)
    assert given.job.settings.plan_only is False
    with pytest.raises(ConfigError, match="nowhere is no run folder"):
        checked("teacher", "checkpoint=nowhere")


@pytest.mark.parametrize("word", [w for w, c in COMMANDS.items() if c.trains])
def test_a_training_is_checked_once(monkeypatch, word):
    count = []
    monkeypatch.setattr(checking, "train_job", lambda config: count.append(1) or train_job(config))
    checked(word, *(["mine", "data=digits"] if word == "init" else []))
    assert count == [1]
