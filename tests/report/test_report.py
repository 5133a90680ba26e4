"""A run's page: figures by hand, hostile names as text, nothing fetched."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from tlcli.report import (
    comparison,
    galleries,
    measures,
    page,
    pictures,
    plots,
    single,
    tables,
    values,
)
from tlcli.report.values import RunValues
from tlcli.runs.predictions import Predictions

HOSTILE = "<script>alert(1)</script>\"'&😀"


def predictions(labels, logits, names, several=False, thresholds=None):
    shares = 1 / (1 + np.exp(-logits)) if several else np.exp(logits)
    shares = shares if several else shares / shares.sum(1, keepdims=True)
    count = len(labels)
    ids = np.array([f"{HOSTILE}/{i}.jpg" for i in range(count)])
    return Predictions(
        ids, np.full(count, "test"), labels, logits.astype(np.float32), shares.astype(np.float32),
        np.array(names), thresholds,
    )  # fmt: skip


@pytest.fixture
def told():
    random = np.random.default_rng(0)
    labels = random.integers(0, 40, 900).astype(np.int32)
    logits = random.normal(size=(900, 40))
    logits[np.arange(900), labels] += 2
    return predictions(labels, logits, [f"class {i}" for i in range(40)])


def test_counts_are_those_of_scikit_learn(told):
    guesses = measures.guesses_of(told)
    found = measures.counts(told.labels, guesses, 40).figures()
    wanted = precision_recall_fscore_support(
        told.labels, guesses, labels=range(40), zero_division=np.nan
    )
    for name, expected in zip(("precision", "recall", "f1"), wanted, strict=False):
        value, low, high = found[name]
        np.testing.assert_allclose(value, expected, atol=1e-12)
        assert (
            (low <= np.nan_to_num(value, nan=0.5)) & (np.nan_to_num(value, nan=0.5) <= high)
        ).all()
    square = confusion_matrix(told.labels, guesses, labels=range(40))
    np.testing.assert_array_equal(measures.square(told.labels, guesses, 40), square)
    real, guess, count = measures.confused(told.labels, guesses, 40, 1)[0]
    np.fill_diagonal(square, 0)
    assert square[real, guess] == square.max() == count


def test_confused_classes_stand_side_by_side():
    # Classes i and i + 20 are taken for each other.
    matrix = 50 * np.eye(40, dtype=int) + 20 * np.roll(np.eye(40, dtype=int), 20, 1)
    place = np.argsort(measures.clustered(matrix))
    assert np.median(np.abs(place[:20] - place[20:])) <= 2


def test_average_precision_is_scikit_learn_s():
    random = np.random.default_rng(1)
    labels = (random.random((60, 4)) < 0.3).astype(np.uint8)
    told = predictions(labels, random.normal(size=(60, 4)), list("abcd"), True, np.full(4, 0.5))
    wanted = [average_precision_score(labels[:, i], told.probabilities[:, i]) for i in range(4)]
    np.testing.assert_allclose(measures.average_precisions(told), wanted, atol=1e-6)


def test_coverage_and_reliability_by_hand():
    sure, right = np.array([0.9, 0.6, 0.7, 0.2]), np.array([True, False, True, False])
    expected = [[0.25, 1], [0.5, 1], [0.75, 2 / 3], [1, 0.5]]
    np.testing.assert_allclose(measures.coverage(sure, right), expected)
    assert measures.reliability(sure, right)[:, 2].sum() == 4


def test_galleries_hold_what_they_say(told):
    guesses = measures.guesses_of(told)
    found = {one.title: one for one in galleries.galleries(told, guesses, 5)}
    assert measures.losses(told)[found["Top losses"].rows[0]] == measures.losses(told).max()
    assert all(guesses[r] != told.labels[r] for r in found["Confidently wrong"].rows)
    assert all(guesses[r] == told.labels[r] for r in found["Most typical"].rows)
    assert len({told.labels[r] for r in found["Most typical"].rows}) == 5


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.outside = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.outside += [v for k, v in attributes if k in ("src", "href") and v
                         and not v.startswith(("data:", "#"))]  # fmt: skip


def test_foreign_names_are_text_and_nothing_is_fetched(digits_run):
    run = values.read(digits_run)
    names = tuple(f"{HOSTILE}{i}" for i in range(len(run.facts.class_names)))
    from dataclasses import replace

    ids = np.array([f"{HOSTILE}{i}" for i in range(len(run.predictions.ids))])
    run = RunValues(
        run.path, run.config, replace(run.facts, class_names=names), run.metrics, run.curve,
        replace(run.predictions, ids=ids),
    )  # fmt: skip
    finding = dict.fromkeys(values.FINDING, HOSTILE)
    for text in (single.page(run, None, 4, [finding], HOSTILE), comparison.page([run, run])):
        reader = Reader()
        reader.feed(text)
        assert reader.tags.count("script") == 1
        assert not reader.outside
        assert "alert(1)" in text or "2 runs" in text
        assert "<script>alert" not in text
        assert re.search("script-src 'sha256-", text)


def test_many_classes_stay_small(told):
    assert (
        len(plots.reliability(*[measures.reliability(*(np.ones(3), np.ones(3, bool)))] * 2))
        < 60_000
    )
    assert len(pictures.matrix(np.eye(1000))) < 1_000_000
    assert tables.square_of(["a", "b"], np.array([[1, 1], [0, 2]]))["rows"][0]["cells"] == [
        (1, "0.500"),
        (1, "0.500"),
    ]
    assert page.filled("frame.html", {}).count("<script>") == 1


def test_of_very_many_classes_those_that_do_worst_are_shown(monkeypatch):
    monkeypatch.setattr(measures, "MOST_SHOWN", 3)
    real, figure = np.array([5, 0, 2, 1, 9]), np.array([0.9, np.nan, 0.1, 0.5, 0.7])
    assert measures.shown_classes(real, figure).tolist() == [2, 3, 4]
    assert measures.shown_classes(real[:3], figure[:3]).tolist() == [0, 1, 2]
