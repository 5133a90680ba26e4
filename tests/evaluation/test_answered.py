"""Figures of many images, and logits of as many as memory should hold."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from tlcli.evaluation import answered
from tlcli.evaluation.answered import Answered, kept_places
from tlcli.evaluation.conformal import PENALTY, Sets
from tlcli.evaluation.intervals import facts_of, of_figures
from tlcli.evaluation.metrics import Scores, softmax
from tlcli.evaluation.scaling import Scaling


def data(images, classes, seed=0):
    """A manifest of labels, and logits that are often right."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, images).astype(np.int32)
    logits = random.normal(0, 1, (images, classes)).astype(np.float32)
    logits[np.arange(images), labels] += 2
    manifest = SimpleNamespace(labels=labels, class_names=("",) * classes, multi_label=False)
    return manifest, logits


def counted(manifest, logits, *args, batch=40):
    found = Answered(manifest, np.arange(len(logits)), *args)
    for start in range(0, len(logits), batch):
        found.add(logits[start : start + batch])
    return found


def test_all_is_kept_of_few_and_an_even_sample_of_many():
    assert kept_places(50_000, 1000).tolist() == list(range(50_000))
    places = kept_places(20_000, 100_000)
    assert len(places) == 671
    assert (places[0], places[-1]) == (0, 19_999)
    assert set(np.diff(places).tolist()) == {29, 30}


@pytest.mark.parametrize("most", [1 << 26, 300])
def test_figures_are_of_all_images_whatever_is_kept(monkeypatch, most):
    monkeypatch.setattr(answered, "MOST_NUMBERS", most)
    manifest, logits = data(333, 6)
    scaling = Scaling(1.7)
    found = counted(manifest, logits, scaling)
    scores = Scores(6)
    scores.update(scaling(logits), manifest.labels)
    expected = scores.result()
    expected |= of_figures(expected, facts_of(scaling(logits), manifest.labels), manifest.labels)
    figures = found.figures()
    assert figures.keys() == expected.keys()
    for name, value in figures.items():
        assert value == pytest.approx(expected[name], abs=1e-12)
    assert len(found.logits) == (333 if most > 1000 else 50)
    np.testing.assert_array_equal(found.logits, logits[found.kept_rows])
    assert bool(found.lines()) == (most < 1000)


def test_figures_of_sets_are_those_of_all_sets_together():
    manifest, logits = data(200, 5)
    sets = Sets(0.9, PENALTY, 5, (0.8,) * 5, (False,) * 5)
    found = counted(manifest, logits, Scaling(), 0.5, sets)
    members = sets.members(softmax(logits))
    figures = found.figures()
    assert figures["coverage"] == members[np.arange(200), manifest.labels].mean()
    assert figures["set_size"] == members.sum(-1).mean()
    parts = found.classes(tuple("abcde"))
    ours = manifest.labels == 2
    assert parts["c"]["samples"] == ours.sum()
    assert parts["c"]["coverage"] == members[ours, 2].mean()


def test_what_is_not_finite_has_no_interval():
    manifest, logits = data(30, 4)
    logits[3, 1] = np.nan
    assert not [name for name in counted(manifest, logits).figures() if name.endswith("_low")]


def test_memory_is_that_of_a_batch_and_of_what_is_kept(monkeypatch):
    """20,000 classes: their square is 3.2 GB, all logits 48 MB in float64."""
    monkeypatch.setattr(answered, "MOST_NUMBERS", 1 << 20)
    manifest, some = data(20, 20_000)
    manifest.labels = np.tile(manifest.labels, 15)
    tracemalloc.start()
    try:
        found = Answered(manifest, np.arange(300))
        for _ in range(15):
            found.add(some)
        figures = found.figures()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert figures["samples"] == 300
    assert found.scores.confusion is None
    assert peak < 80 << 20
