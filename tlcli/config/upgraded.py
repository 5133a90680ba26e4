"""Configurations of runs of earlier versions, in today's form.

A key that a stored configuration lacks came after its run. Each change of the form has one function
here, which gives the new keys the values that mean what the run did. Of keys outside the groups the
default of `train.yaml` means that, or a function says otherwise.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.config import strict_yaml
from tlcli.config.places import STARTED, placed
from tlcli.config.registry import config_root
from tlcli.system.opened import read_text, reading

Values = dict[str, Any]
# What only runs of 0.1.0 lack.
SINCE_0_1_0 = "extend"


def upgraded(config: Mapping[str, Any]) -> Values:
    """A stored configuration with every key of today and no other; one of today as it is.

    Args:
        config: Plain values; groups that are not there stay away.
    """
    found = dict(config) if _settings() <= config.keys() else {**_usual(), **config}
    for change in (
        damaged_pictures_were_used, nothing_was_chosen, heads_had_the_common_rate,
        focus_had_gradients, terms_had_published_weights, tf_kd_was_the_papers,
        adafactor_was_relative, lamb_had_no_least_size, nothing_was_logged,
    ):  # fmt: skip
        found = change(found)
    found.pop(STARTED, None)
    return found


def changed_numbers(config: Mapping[str, Any], multi_label: bool) -> list[str]:
    """Why a training that an earlier version began would not end with that version's weights.

    Args:
        config: As it was stored, not upgraded.
        multi_label: Whether a picture may have several classes.
    """
    if SINCE_0_1_0 in config:
        return []
    optimizer, name = _of(config, "optimizer"), _of(config, "optimizer").get("name")
    found = {
        "optimizer.agc leaves the head out": optimizer.get("agc") is not None,
        "optimizer.sam's second pass moves nothing but weights": optimizer.get("sam") is not None,
        "optimizer=adafactor takes its roots apart": name == "adafactor",
        "optimizer=lamb steps vectors as Adam does": name == "lamb",
        "optimizer=muon takes kernels of convolutions as matrices": name == "muon",
        "augmentation.hue turns the other way": bool(_of(config, "augmentation").get("hue")),
        "balanced_accuracy leaves out the side that a class lacks":
            multi_label and config.get("monitor") == "balanced_accuracy",
    }  # fmt: skip
    return [f"since 0.1.0 {what}" for what, applies in found.items() if applies]


def damaged_pictures_were_used(config: Values) -> Values:
    """0.1.0 trained on whatever a damaged JPEG decoded to."""
    names = ("folder", "csv", "photos", "tfrecord")
    return _given(config, "data", names, damaged="use")


def nothing_was_chosen(config: Values) -> Values:
    """0.1.0 took all pictures with the labels that they have."""
    names = ("folder", "csv", "photos", "tfrecord", "npy", "digits")
    return _given(config, "data", names, exclude=None, relabel=None, groups=None)


def heads_had_the_common_rate(config: Values) -> Values:
    """0.1.0 trained the head at the rate of what is fine-tuned."""
    return _given(config, "finetune", ("full", "partial", "bitfit"), head_rate=1.0)


def focus_had_gradients(config: Values) -> Values:
    """0.1.0 sent gradients through the focal factors of loss=asymmetric."""
    return _given(config, "loss", ("asymmetric",), detach_focus=False)


def terms_had_published_weights(config: Values) -> Values:
    """0.1.0 multiplied each term by a number, the published one by default."""
    own = _of(config, "distillation")
    weight = own.get("soft_weight")
    if not isinstance(weight, (int, float)) or "paper_weight" in own:
        return config
    found: Values = {"paper_weight": weight, "share": 1.0, **own}
    methods = own.get("methods")
    if isinstance(methods, Mapping):
        found["methods"] = {name: _published(one or {}) for name, one in methods.items()}
    elif isinstance(methods, (list, tuple)):
        entries = ({"name": one} if isinstance(one, str) else one for one in methods)
        found["methods"] = [_published(one) for one in entries]
    return {**config, "distillation": found}


def tf_kd_was_the_papers(config: Values) -> Values:
    """0.1.0 had the equation of the paper alone."""
    return _given(config, "distillation", ("tf_kd",), form="paper")


def adafactor_was_relative(config: Values) -> Values:
    """0.1.0 multiplied updates by the size of the weights."""
    return _given(config, "optimizer", ("adafactor",), relative=True)


def lamb_had_no_least_size(config: Values) -> Values:
    """0.1.0 took kernels for as small as they are."""
    return _given(config, "optimizer", ("lamb",), least_size=0.0)


def nothing_was_logged(config: Values) -> Values:
    """0.1.0 had no loggers; a configuration of a whole training has an optimizer."""
    if "logger" in config or "optimizer" not in config:
        return config
    return {**config, "logger": {"name": "none"}}


@functools.cache
def _text() -> str:
    return (config_root() / "train.yaml").read_text(encoding="utf-8")


@functools.cache
def _settings() -> frozenset[str]:
    """Keys outside the groups: most runs have all, and reading YAML takes longer than all else."""
    return frozenset(re.findall(r"^(\w+):", _text(), re.MULTILINE)) - {"defaults"}


@functools.cache
def _usual() -> Values:
    """Defaults of the keys outside the groups."""
    content = strict_yaml.parsed(_text(), "train.yaml")
    return {key: value for key, value in content.items() if key != "defaults"}


def _of(config: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    """Values of a group; none where a damaged file has something else there."""
    values = config.get(group)
    return values if isinstance(values, Mapping) else {}


def _given(config: Values, group: str, names: tuple[str, ...], **values: Any) -> Values:
    """With values for what some options of a group lack."""
    own = _of(config, group)
    if own.get("name") not in names:
        return config
    return {**config, group: {**values, **own}}


def _published(method: Any) -> Any:
    """Options of a method within a sum; what is left out would come from today's YAML."""
    return {"soft_weight": "paper", **method} if isinstance(method, Mapping) else method


def stored(path: Path) -> dict[str, Any]:
    """Configuration of a run, in today's form.

    Raises:
        DataError: It is no such file.
    """
    text = read_text(path, "json")
    with reading(path):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise TypeError("it is no JSON object")
    return upgraded(placed(found, found.get(STARTED)))
