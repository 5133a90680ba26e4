"""Stored configurations of 0.1.0 have every key of today, with the value that means the same."""

import dataclasses
import json
from pathlib import Path

import pytest

from tlcli.config import registry, upgraded
from tlcli.config.train_settings import Train
from tlcli.contracts import GROUPS

OLD = json.loads(Path(__file__).with_name("options_of_0_1_0.json").read_text(encoding="utf-8"))
# Groups that came later.
NEW = ("logger",)
OPTIONS = [(group, values) for group in GROUPS if group not in NEW for values in OLD[group]]


def old_config(**changed):
    """A training as 0.1.0 stored it, on digits, with some groups otherwise."""
    names = {
        "data": "digits", "backbone": "tiny", "finetune": "full", "schedule": "cosine",
        "optimizer": "adamw", "loss": "cross_entropy", "head": "linear", "hardware": "auto",
    }  # fmt: skip
    groups = {group: next(v for v in OLD[group] if v["name"] == names.get(group, "none"))
              for group in GROUPS if group not in NEW}  # fmt: skip
    return {**OLD["settings"], **groups, **changed}


def option(group, name):
    return next(values for values in OLD[group] if values["name"] == name)


@pytest.mark.parametrize(
    ("group", "values"), OPTIONS, ids=lambda v: v if v in GROUPS else v["name"]
)
def test_an_option_of_0_1_0_has_every_key_of_today(group, values):
    # Where this fails, a key is new: say in tlcli/config/upgraded.py which value means the old.
    found = upgraded.upgraded(old_config(**{group: values}))[group]
    fields = {
        field.name for field in dataclasses.fields(registry.option_class(group, values["name"]))
    }
    assert fields - {"name"} <= found.keys()
    assert {k: found[k] for k in values if k != "methods"} == {
        k: v for k, v in values.items() if k != "methods"
    }


def test_keys_outside_the_groups_take_their_default():
    found = upgraded.upgraded(old_config())
    assert {field.name for field in dataclasses.fields(Train)} <= found.keys()
    assert found["extend"] is None
    assert {key: found[key] for key in OLD["settings"]} == OLD["settings"]


def test_nothing_was_logged_by_0_1_0():
    assert upgraded.upgraded(old_config())["logger"] == {"name": "none"}
    mine = registry.defaults("logger", "csv")
    assert upgraded.upgraded(old_config(logger=mine))["logger"] == mine
    assert "logger" not in upgraded.upgraded({"distillation": option("distillation", "kd")})


def test_a_configuration_of_today_stays_as_it_is():
    found = upgraded.upgraded(old_config(optimizer=option("optimizer", "lamb")))
    assert upgraded.upgraded(found) == found


@pytest.mark.parametrize(
    ("group", "name", "key", "value"),
    [
        ("finetune", "full", "head_rate", 1.0), ("finetune", "bitfit", "head_rate", 1.0),
        ("data", "folder", "damaged", "use"), ("loss", "asymmetric", "detach_focus", False),
        ("distillation", "tf_kd", "form", "paper"), ("optimizer", "adafactor", "relative", True),
        ("optimizer", "lamb", "least_size", 0.0), ("distillation", "at", "soft_weight", 1000.0),
        ("distillation", "at", "paper_weight", 1000.0),
    ],
)  # fmt: skip
def test_a_new_key_means_what_0_1_0_did(group, name, key, value):
    assert upgraded.upgraded(old_config(**{group: option(group, name)}))[group][key] == value


@pytest.mark.parametrize(
    ("methods", "now"),
    [
        (["kd", {"name": "at", "soft_weight": 3.0, "weight": 2.0}],
         [{"soft_weight": "paper", "name": "kd"},
          {"soft_weight": 3.0, "name": "at", "weight": 2.0}]),
        ({"kd": None, "crd": {"soft_weight": 1.0}},
         {"kd": {"soft_weight": "paper"}, "crd": {"soft_weight": 1.0}}),
    ],
)  # fmt: skip
def test_methods_of_a_sum_keep_their_published_weights(methods, now):
    values = {**option("distillation", "sum"), "methods": methods}
    found = upgraded.upgraded(old_config(distillation=values))["distillation"]
    assert found["methods"] == now
    again = upgraded.upgraded({"distillation": found})["distillation"]
    assert again == found


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"optimizer": {**option("optimizer", "adamw"), "agc": 0.01}}, ["agc"]),
        ({"optimizer": {**option("optimizer", "adamw"), "sam": 0.05}}, ["sam"]),
        ({"optimizer": option("optimizer", "muon")}, ["muon"]),
        ({"augmentation": option("augmentation", "standard")}, ["hue"]),
        ({"monitor": "balanced_accuracy"}, ["balanced_accuracy"]),
    ],
)
def test_what_computes_otherwise_since_0_1_0_is_named(changed, told):
    found = upgraded.changed_numbers(old_config(**changed), multi_label=True)
    assert len(found) == len(told)
    assert all(word in one for word, one in zip(told, found, strict=True))
    assert upgraded.changed_numbers(upgraded.upgraded(old_config(**changed)), True) == []


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("value", [None, 5, [], "x", {"name": ["a"]}, {"name": {}}])
def test_a_damaged_group_is_left_to_who_checks_it(group, value):
    config = old_config(**{group: value})
    assert upgraded.upgraded(config)[group] == value
    assert isinstance(upgraded.changed_numbers(config, True), list)
