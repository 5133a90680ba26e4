"""The range test finds where training breaks, says what to take, and leaves all as it was."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.runs import train_digits
from tests.helpers.trainings import phase_of, planned
from tests.helpers.words import checked, config
from tlcli.cli import main
from tlcli.commands import find_lr
from tlcli.config.job import train_job
from tlcli.config.settings import FindLr
from tlcli.errors import ConfigError
from tlcli.training import rate_curve
from tlcli.training.plan import phase_plan
from tlcli.training.range_test import range_test

SMALL = ("data.images_per_class=8", "batch_size=10", "backbone.weights=none")
OWN = FindLr(1e-6, 10.0, 100, 1, 0.9, 4.0, None)
PARABOLA = (
    "finetune=linear_probe", "finetune.rate=1", "optimizer=sgd", "optimizer.momentum=0",
    "optimizer.clip_norm=null",
    "start=1e-5", "end=1", "steps=100",
)  # fmt: skip


def prepared(*words):
    given = checked("find-lr", *SMALL, *words)
    return planned(given.job), given.settings


def with_phases(plan, *phases):
    """The plan with other phases, each as of epoch 0."""
    made = [phase_plan(plan.pieces, plan.lesson, each, n) for n, each in enumerate(phases)]
    return replace(plan, phases=tuple(made))


@pytest.fixture(scope="module")
def parabola():
    """A test on a parabola, with the weights before and after it."""
    plan, own = prepared(*PARABOLA)
    # The penalty is all but the whole loss: a parabola of curvature 1000 in each weight.
    plan = with_phases(plan, replace(plan.phases[0].phase, head_penalty=1000.0))
    # A head of zeros would start at the bottom.
    model = plan.lesson.student.model
    kernel = model.layers[-1].kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.1, kernel.shape))
    before = [v.numpy() for v in model.variables]
    curve = range_test(plan, own)
    after = [v.numpy() for v in model.variables]
    return curve, before, after, (plan, own)


def test_it_ends_soon_after_the_rate_at_which_gradient_descent_diverges(parabola):
    curve, *_ = parabola
    # Descent on a parabola of curvature 1000 multiplies its weight by 1 - 1000 rate: 2/1000 is the
    # greatest stable rate. One factor of ten more and each step multiplies the loss by 361.
    assert 0.002 < curve.rates[curve.diverged] < 0.02
    # What is curved that much is at its lowest before.
    found = rate_curve.suggestion(curve)
    assert found.lowest < 0.003
    assert found.rate < found.lowest


def test_weights_are_as_before_to_the_bit(parabola):
    _, before, after, _ = parabola
    assert len(before) > 4
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_second_test_sees_the_same_losses(parabola):
    curve, _, _, again = parabola
    np.testing.assert_array_equal(range_test(*again).losses, curve.losses)


def test_rates_rise_by_the_same_factor(parabola):
    curve, *_ = parabola
    rates = 1e-5 * (1 / 1e-5) ** (np.arange(100) / 99)
    np.testing.assert_allclose(curve.rates, rates[: len(curve.rates)], rtol=1e-12)


def test_the_first_loss_is_that_of_the_first_batch_of_training(parabola):
    curve, before, _, (plan, _) = parabola
    figures = phase_of(plan).feed(0, 1)
    np.testing.assert_allclose(curve.losses[0], figures[0, 0], rtol=1e-6)
    for variable, value in zip(plan.lesson.student.model.variables, before, strict=True):
        variable.assign(value)


def test_a_later_phase_is_tested_after_those_before_it(parabola):
    curve, before, _, (plan, own) = parabola
    tested = plan.phases[0].phase
    first = replace(tested, epochs=2.0, rate=0.05)  # of optimizer.learning_rate=0.01
    both = with_phases(plan, first, tested)
    later = range_test(both, replace(own, phase=2, steps=10))
    # Each step of the first phase halved the weights, 1 - 1000 * 0.0005, to what the labels want.
    assert both.phases[0].total_steps >= 6
    assert later.losses[0] < 0.01 * curve.losses[0]
    for variable, value in zip(plan.lesson.student.model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


# ---- what is made of the losses ----------------------------------------------------------------


def test_smoothing_by_hand():
    # Weights 1, 1/2, 1/4: (4 + 1 + 0) / 1.75, (2 + 2 + 0) / 2, (1 + 1 + 0) / 1.75.
    found = rate_curve.smooth([4.0, 2.0, 0.0], 0.5)
    np.testing.assert_allclose(found, [5 / 1.75, 2.0, 2 / 1.75], rtol=1e-12)


def test_smoothing_does_not_shift_a_line():
    line = np.linspace(3.0, 1.0, 101)
    np.testing.assert_allclose(rate_curve.smooth(line, 0.5)[20:81], line[20:81], atol=1e-5)


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([1.0, 0.5, 1.9, 2.1], 3),  # 4 x 0.5
        ([1.0, 0.5, 1.9, 1.9], None),
        ([1.0, float("nan"), 1.0], 1),
        ([float("inf")], 0),
        ([1.0, -1.0, 1.9, 2.1], 3),  # -1 + 3 x 1
        ([0.0, 0.0], None),
    ],
)
def test_divergence_without_smoothing(losses, step):
    own = FindLr(1e-6, 10.0, 100, 1, 0.0, 4.0, None)
    assert rate_curve.divergence(losses, own) == step


def test_divergence_is_of_the_loss_smoothed_backwards():
    # beta 1/2: 1, then (1/2 + 9) / (3/2) = 6.3; one wild batch of 5 is (1/2 + 5) / (3/2) = 3.7.
    own = FindLr(1e-6, 10.0, 100, 1, 0.5, 4.0, None)
    assert rate_curve.divergence([1.0, 5.0], own) is None
    assert rate_curve.divergence([1.0, 9.0], own) == 1


def curve_of(losses, rates):
    return rate_curve.Curve(rates, losses, losses, None)


def test_suggestion_on_a_curve_with_known_points():
    rates = np.geomspace(1e-6, 1, 601)
    x = np.log10(rates)
    # A fall that is steepest at 1e-4, and a bowl with its bottom at 0.01.
    losses = 3 - 1 / (1 + np.exp(-6 * (x + 4))) + 0.01 * np.maximum(x + 2, 0)
    losses = losses - 0.001 * (x + 2) * (x < -2)
    found = rate_curve.suggestion(curve_of(losses, rates))
    assert found.steepest == pytest.approx(1e-4, rel=0.02)
    assert found.lowest == pytest.approx(1e-2, rel=0.02)
    assert found.rate == found.lowest / 2
    assert found.reason == "half the rate of the lowest loss"


@pytest.mark.parametrize("losses", [np.linspace(1, 2, 50), np.ones(50), np.ones(2)])
def test_a_loss_that_never_falls_speaks_for_nothing(losses):
    assert rate_curve.suggestion(curve_of(losses, np.geomspace(1e-6, 1, len(losses)))) is None


def test_noise_of_a_bent_curve():
    x = np.linspace(0, 1, 2000)
    losses = 5 * np.exp(-3 * x) + np.random.default_rng(0).normal(0, 0.2, 2000)
    assert rate_curve.noise(losses) == pytest.approx(0.2, rel=0.05)


def test_noise_is_no_fall():
    losses = 1 + np.random.default_rng(0).normal(0, 0.1, 80)
    curve = rate_curve.Curve(
        np.geomspace(1e-6, 1, 80), losses, rate_curve.smooth(losses, 0.9), None
    )
    assert rate_curve.suggestion(curve) is None


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


# ---- the command -------------------------------------------------------------------------------


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
