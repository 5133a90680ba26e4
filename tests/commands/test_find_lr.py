"""The range test finds where training breaks, says what to take, and leaves all as it was."""

import csv
import json
import re

import numpy as np
import pytest

from tests.helpers import range_tests
from tests.helpers.range_tests import SMALL
from tests.helpers.runs import train_digits
from tests.helpers.words import config
from tlcli.cli import main
from tlcli.commands import find_lr
from tlcli.config.job import train_job
from tlcli.errors import ConfigError
from tlcli.training import rate_curve


def curve_of(losses, rates):
    return rate_curve.Curve(rates, losses, losses, None)


@pytest.fixture(scope="module")
def parabola():
    return range_tests.parabola()


def test_the_plot_marks_the_suggested_rate():
    rates = np.geomspace(1e-6, 1, 64)
    losses = np.linspace(2, 1, 64)
    *bars, mark, axis = find_lr.plot(
        curve_of(losses, rates), rate_curve.Suggestion(1e-6, 2 * rates[20])
    )
    assert mark.index("^") - 10 == 20
    assert [len(line) for line in bars] == [10 + find_lr.COLUMNS] * find_lr.ROWS
    heights = [sum(line[10 + c] != " " for line in bars) for c in range(find_lr.COLUMNS)]
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == (find_lr.ROWS, 1)
    assert bars[0].split()[0] == "2"
    assert bars[-1].split()[0] == "1"
    assert axis.split() == ["rate", "1e-06", "1"]


def test_the_suggested_override_trains_and_nothing_else_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["data.images_per_class=20", "batch_size=10", "finetune=linear_probe", "seed=3"]
    assert main.run(["find-lr", *words, "output=curve.json", "steps=80"]) == 0
    out = capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["curve.json"]
    override = re.search(r"suggested +(optimizer\.learning_rate=\S+) ", out)[1]
    content = json.loads((tmp_path / "curve.json").read_text())
    assert float(override.split("=")[1]) == pytest.approx(
        content["suggestion"]["learning_rate"], rel=0.05
    )
    assert content["steps"][0]["learning_rate"] == pytest.approx(1e-6)
    run_dir = train_digits(tmp_path / "run", *words, override, "epochs=6")
    with (run_dir / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert max(float(row["validation_accuracy"]) for row in rows) > 0.8


def test_a_table_of_steps_is_written(parabola, tmp_path):
    curve, *_ = parabola
    find_lr.write(tmp_path / "curve.csv", curve, None)
    with (tmp_path / "curve.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    np.testing.assert_array_equal([float(r["learning_rate"]) for r in rows], curve.rates)
    np.testing.assert_array_equal([float(r["loss"]) for r in rows], curve.losses)
    assert rows[-1]["smoothed_loss"] == ""


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["optimizer.learningrate=1"], "optimizer.learningrate: adamw has no such option. "
         "Did you mean learning_rate?"),
        (["start=2", "end=1"], "end: got 1.0. Give a number above start, 2."),
        (["steps=3"], "steps: got 3. Give 10 to 10000."),
        (["output=curve.pdf"], "output: got 'curve.pdf'. Give a .csv or .json file, or null."),
        (["diverged=1"], "diverged: got 1.0. Give a number above 1."),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(capsys, words, text):
    assert main.run(["find-lr", *words]) == 2
    assert capsys.readouterr().err == f"tl find-lr: {text}\n"


def test_a_misspelt_word_ends_the_process(tl, tmp_path):
    done = tl("find-lr", "step=20")
    assert done.returncode == 2
    assert done.stderr.startswith("tl find-lr: step: there is no such key. Did you mean steps?")
    assert list(tmp_path.iterdir()) == []


def test_a_phase_or_a_chain_that_cannot_be_tested_is_refused(capsys):
    assert main.run(["find-lr", *SMALL, "phase=4", "finetune=lp_ft"]) == 2
    assert "phase: got 4, and the strategy has 2. Give 1 to 2." in capsys.readouterr().err
    chain = train_job(config("train", "distillation=kd", "generations=3"))
    with pytest.raises(ConfigError, match=r"^generations: find-lr tests one training"):
        find_lr.check(chain)
