"""Intervals of figures, held to SciPy and to figures that are counted otherwise."""

import numpy as np
import pytest
from scipy import stats

from tlcli.evaluation import intervals
from tlcli.evaluation.metrics import MultiLabelScores, Scores


def one_label(count=400, classes=6, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    logits = random.normal(0, 1.2, (count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 1.5
    return logits, labels


def several_labels(count=200, classes=4):
    random = np.random.default_rng(1)
    labels = (random.random((count, classes)) < 0.3).astype(np.uint8)
    return (random.normal(0, 1, labels.shape) + 2 * labels - 1).astype(np.float32), labels


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (7, 9), (713, 1000), (1, 1)])
def test_wilson_is_scipys(right, total):
    expected = stats.binomtest(right, total).proportion_ci(0.95, "wilson")
    assert intervals.wilson(right, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_an_image_says_nothing():
    assert intervals.wilson(0, 0) == pytest.approx((0, 1), abs=1e-6)


def test_each_draw_has_as_many_images_of_each_class():
    labels = np.array([2, 0, 0, 5, 2, 2])
    for rows in intervals.draws(labels, 50):
        assert (np.sort(labels[rows], axis=1) == np.sort(labels)).all()


def test_draws_in_pieces_are_the_same_draws(monkeypatch):
    labels = one_label()[1]
    whole = np.concatenate(list(intervals.draws(labels, 30)))
    monkeypatch.setattr(intervals, "PIECE", 1000)
    pieces = list(intervals.draws(labels, 30))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_figures_of_all_images_and_of_a_draw_are_those_of_the_counter():
    logits, labels = one_label()
    facts = intervals.facts_of(logits, labels)
    rows = np.stack([np.arange(len(labels)), next(intervals.draws(labels, 1))[0]])
    for number, chosen in enumerate(rows):
        scores = Scores(6)
        scores.update(logits[chosen], labels[chosen])
        found = {name: values[number] for name, values in facts.figures(rows).items()}
        expected = {k: v for k, v in scores.result().items() if k != "samples"}
        assert found == pytest.approx(expected, abs=1e-9)


def test_figures_of_several_labels_are_those_of_the_counter():
    logits, labels = several_labels()
    facts = intervals.facts_of(logits, labels, 0.4)
    for chosen in (np.arange(200), np.random.default_rng(0).integers(0, 200, 200)):
        scores = MultiLabelScores(4, 0.4)
        scores.update(logits[chosen], labels[chosen])
        found = facts.figures(np.bincount(chosen, minlength=200).astype(float))
        expected = {k: v for k, v in scores.result().items() if k != "samples"}
        # Of copies of one image the mean precision stands for each.
        assert found == pytest.approx(expected, abs=2e-3)


def test_the_bootstrap_of_a_mean_is_scipys():
    logits, labels = one_label()
    labels = np.zeros(len(labels), int)  # One class, so that strata mean nothing.
    figures = {"loss": 0.0}
    scores = Scores(6)
    scores.update(logits, labels)
    figures = scores.result()
    found = intervals.of_figures(figures, intervals.facts_of(logits, labels), labels)
    losses = intervals.facts_of(logits, labels).loss
    expected = stats.bootstrap((losses,), np.mean, method="percentile", rng=0).confidence_interval
    width = expected.high - expected.low
    assert found["loss_low"] == pytest.approx(expected.low, abs=0.06 * width)
    assert found["loss_high"] == pytest.approx(expected.high, abs=0.06 * width)


@pytest.mark.parametrize("several", [False, True])
def test_every_figure_lies_within_its_interval(several):
    logits, labels = several_labels() if several else one_label()
    scores = MultiLabelScores(4) if several else Scores(6)
    scores.update(logits, labels)
    facts = intervals.facts_of(logits, labels)
    found = scores.result() | intervals.of_figures(scores.result(), facts, labels)
    names = [k for k in scores.result() if k != "samples"]
    for name in names:
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
        assert found[f"{name}_high"] - found[f"{name}_low"] < 0.5


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth = Scores(6)
    truth.update(*one_label(200_000, seed=99))
    expected = truth.result()
    held = dict.fromkeys(("macro_f1", "balanced_accuracy", "loss", "accuracy"), 0)
    for seed in range(60):
        scores, data = Scores(6), one_label(300, seed=seed)
        scores.update(*data)
        found = intervals.of_figures(scores.result(), intervals.facts_of(*data), data[1])
        for name in held:
            held[name] += found[f"{name}_low"] <= expected[name] <= found[f"{name}_high"]
    # 95 % of 60 are 57; fewer than 51 come in less than one case of a thousand.
    assert min(held.values()) >= 51


def test_too_much_work_is_left_out_and_nothing_is_made_of_nothing():
    assert intervals.resamples(10**7) == 0
    assert intervals.resamples(10) == intervals.RESAMPLES
    assert intervals.of_figures({}, None, np.zeros(0, int)) == {}


def test_parts_together_draw_as_the_whole_does():
    logits, labels = one_label()
    parts = [intervals.OneLabel(logits[i : i + 70], labels[i : i + 70])
             for i in range(0, len(labels), 70)]  # fmt: skip
    rows = next(intervals.draws(labels, 5))
    whole = intervals.OneLabel(logits, labels).figures(rows)
    for name, values in intervals.OneLabel.joined(parts).figures(rows).items():
        np.testing.assert_array_equal(whole[name], values)


def test_draws_of_many_classes_count_those_that_are_there():
    """The figures are those of a network that knows no others, and no array is as wide as all."""
    logits, labels = one_label()
    wide = np.full((len(labels), 5000), -50.0)
    wide[:, ::900] = logits
    few, many = intervals.OneLabel(logits, labels), intervals.OneLabel(wide, labels * 900)
    assert many.classes <= 2 * len(np.unique(labels))
    rows = next(intervals.draws(labels, 20))
    one, other = few.figures(rows), many.figures(rows)
    for name in ("accuracy", "top5_accuracy", "macro_f1", "balanced_accuracy", "loss"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-9)
