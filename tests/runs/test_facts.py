import json
from pathlib import Path

import pytest

from tlcli.data.resize import Resize
from tlcli.errors import DataError
from tlcli.runs.facts import Facts

PATH = Path("run/metadata.json")
RESIZE = Resize(32, "squash", 1.0, True)
# What version 0.1.0 wrote of a training with one label an image.
WRITTEN = {
    "format": 1, "tlcli": "0.1.0", "class_names": ["cat", "dog"], "multi_label": False,
    "resize": RESIZE.as_dict(), "head": None, "abstain_below": None, "temperature": 1.5,
    "validation_ece_before": 0.2, "validation_ece_after": 0.1, "seed": 0,
    "data_fingerprint": "abc", "data_root": "/data", "parameters": 1234,
    "metrics": {"test": {"accuracy": 0.5}}, "versions": {"keras": "3.15.1"}, "git_commit": None,
    "best_epoch": [1, 3], "mixing": None, "teacher": {"file": "a.npz"}, "fidelity": None,
    "peers": None, "seconds": 2.5, "plugins": [], "sha256": {"model.weights.h5": 64 * "d"},
}  # fmt: skip


SETS = {"coverage": 0.9, "penalty": 0.01, "free": 5, "thresholds": [0.5, None],
        "own": [True, False]}  # fmt: skip


def test_sets_are_read_and_written_as_they_were():
    facts = Facts.from_json({**WRITTEN, "conformal": SETS}, PATH)
    assert facts.conformal.thresholds == (0.5, None)
    assert facts.as_json()["conformal"] == SETS


def test_a_file_is_read_and_written_as_it_was():
    facts = Facts.from_json(WRITTEN, PATH)
    assert (facts.class_names, facts.temperature, facts.resize) == (("cat", "dog"), 1.5, RESIZE)
    assert json.dumps(facts.as_json()) == json.dumps(WRITTEN)


def test_what_an_old_file_lacks_has_its_default():
    least = {k: WRITTEN[k] for k in ("format", "class_names", "multi_label", "resize")}
    facts = Facts.from_json({**least, "of_a_later_version": 1}, PATH)
    assert (facts.temperature, facts.thresholds, facts.metrics) == (None, None, {})
    assert Facts.from_json({**WRITTEN, "plugins": None, "best_epoch": None}, PATH).plugins == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2. This tl reads format 1"),
        ({"class_names": []}, "class_names is [], and not a list of different names"),
        ({"class_names": ["a", "a"]}, "class_names is ['a', 'a'], and not a list of different"),
        ({"class_names": ["a", 1]}, "class_names is 1, and not a text"),
        ({"multi_label": 1}, "multi_label is 1, and not true or false"),
        ({"resize": []}, "resize is [], and not a mapping"),
        ({"resize": {"size": 32}}, "resize.mode: no value"),
        ({"temperature": 0}, "temperature is 0, and not a number above 0"),
        ({"temperature": float("nan")}, "temperature is nan, and not a number above 0"),
        ({"temperature": float("inf")}, "temperature is inf, and not a number above 0"),
        ({"temperature": True}, "temperature is True, and not a number above 0"),
        ({"thresholds": [0.5, 1.5]}, "thresholds is 1.5, and not a number from 0 to 1"),
        ({"thresholds": [0.5]}, "thresholds are 1 for 2 classes"),
        (
            {"vector_scale": [1, 0], "vector_bias": [0, 0]},
            "vector_scale is 0, and not a number",
        ),
        ({"vector_scale": [1, 1], "vector_bias": [0, 1e9]}, "vector_bias is 1000000000.0, and not"),
        ({"vector_scale": [1], "vector_bias": [0, 0]}, "vector_scale are 1 for 2 classes"),
        ({"conformal": {**SETS, "own": [True]}}, "conformal has another number of own than"),
        ({"conformal": {**SETS, "coverage": "x"}}, "conformal coverage is 'x', and not a number"),
        (
            {"conformal": {**SETS, "own": [1], "thresholds": [1]}},
            "conformal own is 1, and not",
        ),
        (
            {"conformal": {**SETS, "own": [True] * 3, "thresholds": [None] * 3}},
            "3 thresholds",
        ),
        ({"vector_scale": [1, 1]}, "has one of vector_scale and vector_bias"),
        ({"abstain_below": -0.1}, "abstain_below is -0.1, and not a number from 0 to 1"),
        ({"metrics": {"test": 1}}, "metrics is 1, and not a mapping"),
        ({"plugins": [{"group": "head"}]}, "plugins names no option, package, version"),
        ({"seed": "x" * 99}, "…, and not a whole number"),
    ],
)
def test_a_wrong_value_is_refused_by_file_and_key(change, message):
    with pytest.raises(DataError) as refused:
        Facts.from_json({**WRITTEN, **change}, PATH)
    assert str(refused.value).startswith("run/metadata.json: ")
    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["class_names", "multi_label", "resize"])
def test_what_no_run_can_do_without_is_asked_for(key):
    values = {k: v for k, v in WRITTEN.items() if k != key}
    with pytest.raises(DataError, match=f"metadata.json: lacks {key}"):
        Facts.from_json(values, PATH)
