"""`tl eval`: the figures of a run again, on its own images or on others by class name."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.runs import train_digits
from tests.helpers.words import checked
from tlcli.commands import evaluate, predict
from tlcli.errors import ConfigError, DataError
from tlcli.runs import checkpoint


def test_the_figures_are_those_of_the_run(digits_run, tmp_path, capsys):
    output = tmp_path / "figures.json"
    words = (f"checkpoint={digits_run}", "format=json", f"output={output}")
    assert evaluate.run(checked("eval", *words)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(output.read_text())
    expected = json.loads((digits_run / "metrics.json").read_text())["test"]
    assert found["accuracy"] == pytest.approx(expected["accuracy"])
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_the_table_names_split_and_worst_classes(digits_run, capsys):
    assert evaluate.run(checked("eval", f"checkpoint={digits_run}", "split=validation")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "validation", "figures", "95", "worst", "strangers",
    ]  # fmt: skip


def test_data_that_changed_since_are_refused_unless_given(digits_run, monkeypatch):
    found = checkpoint.read_run(digits_run)
    assert evaluate.data_of(found, {"classes": [9, 5]}).class_names == found.class_names
    config = {**found.config, "data": {**found.config["data"], "images_per_class": 9}}
    object.__setattr__(found, "config", config)
    with pytest.raises(DataError, match="is not the data this run was trained on"):
        evaluate.data_of(found, None)


def test_without_a_run_eval_says_what_to_give(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no value, and there is no finished run .*checkpoint=RUN"
    ):
        evaluate.run(checked("eval", f"runs={tmp_path}"))


@pytest.fixture(scope="module")
def with_sets(tmp_path_factory):
    """A run that tells sets of classes."""
    return train_digits(tmp_path_factory.mktemp("sets") / "run", "conformal=0.8")


def test_sets_of_a_run_cover_as_the_training_says(with_sets, capsys):
    words = (f"checkpoint={with_sets}", "format=json")
    assert evaluate.run(checked("eval", *words)) == 0
    found = json.loads(capsys.readouterr().out)
    stored = json.loads((with_sets / "metrics.json").read_text())["test"]
    for name in ("coverage", "coverage_low", "set_size", "set_size_high"):
        assert found[name] == pytest.approx(stored[name], abs=1e-6)
    assert 0.65 < found["coverage_low"] < found["coverage"] < found["coverage_high"] <= 1
    parts = found["classes"].values()
    assert sum(one["samples"] for one in parts) == found["samples"]
    mean = sum(one["coverage"] * one["samples"] for one in parts) / found["samples"]
    assert mean == pytest.approx(found["coverage"])
    evaluate.run(checked("eval", words[0]))
    told = capsys.readouterr().out
    assert f"coverage {found['coverage']:.4f}  set size {found['set_size']:.4f}" in told
    assert "sets       0.8 asked; least covered: " in told


@pytest.mark.parametrize("kind", ["json", "csv", "table"])
def test_predict_lists_the_set(with_sets, tmp_path, capsys, kind):
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "a.png")
    words = (f"images=[{tmp_path / 'a.png'}]", f"checkpoint={with_sets}", f"format={kind}")
    assert predict.run(checked("predict", *words)) == 0
    told = capsys.readouterr().out
    if kind == "json":
        row = json.loads(told)[0]
        ranked = [one["label"] for one in row["top"]]
        assert row["set"][0] == row["label"]
        assert row["set"] == sorted(row["set"], key=ranked.index)
    elif kind == "csv":
        header, row = told.splitlines()
        assert header.startswith("path,label,probability,set,")
        assert row.split(",")[3].split("|")[0] == row.split(",")[1]
    else:
        assert "  set: " in told
