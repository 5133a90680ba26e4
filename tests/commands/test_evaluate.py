"""`tl eval`: the figures of a run again, on its own images or on others by class name."""

import json

import pytest

from tests.helpers.words import checked
from tlcli.commands import evaluate
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
    assert [line.split()[0] for line in lines] == ["validation", "figures", "95", "worst"]


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
