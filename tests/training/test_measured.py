"""Figures of a network, what calibrates it, and what metadata.json says of it."""

from dataclasses import replace

import numpy as np
import pytest

from tlcli.evaluation.conformal import Sets
from tlcli.training.measured import calibration, described, measured


def test_a_temperature_mends_logits_that_are_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(500, 3)) * 2
    labels = np.array([rng.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in logits])
    found = calibration(3 * logits, labels, False)
    assert found["temperature"] == pytest.approx(3, rel=0.2)
    assert found["validation_ece_after"] < found["validation_ece_before"]
    several = calibration(logits, (logits > 1).astype(np.uint8), True)
    assert len(several["thresholds"]) == 3


def test_both_splits_are_measured_and_described(small_plan):
    pieces, model = small_plan.pieces, small_plan.lesson.student.model
    found = measured(pieces, model)
    assert set(found.figures) == {"validation", "test"}
    assert len(found.logits) == len(pieces.manifest.labelled(2))
    facts = described(pieces, model, found)
    assert facts["class_names"] == list(pieces.manifest.class_names)
    assert facts["data_fingerprint"] == pieces.manifest.identity()
    assert facts["metrics"] == found.figures
    assert facts["parameters"] == sum(int(np.prod(v.shape)) for v in model.variables
                                      if "seed" not in v.path)  # fmt: skip


def with_settings(pieces, **changed):
    """Pieces of a training with other keys."""
    settings = replace(pieces.job.settings, **changed)
    return replace(pieces, job=replace(pieces.job, settings=settings))


def test_sets_and_strangers_come_from_validation(small_plan):
    pieces, model = small_plan.pieces, small_plan.lesson.student.model
    changed = with_settings(pieces, conformal=0.9, strangers=0.9)
    found = measured(changed, model)
    count = len(pieces.manifest.labelled(1))
    assert found.known.bank.shape[0] == count
    assert found.known.inside == 0.9
    test = found.figures["test"]
    assert 0 <= test["stranger_share"] <= 0.5
    told = found.predictions.of("test")
    held = Sets.of(found.facts["conformal"]).members(told.probabilities.astype(float))
    own = held[np.arange(len(told.labels)), told.labels]
    assert own.mean() == pytest.approx(test["coverage"], abs=0.02)
    assert described(changed, model, found)["conformal"] == found.facts["conformal"]


def test_without_them_nothing_is_kept(small_plan):
    pieces, model = small_plan.pieces, small_plan.lesson.student.model
    found = measured(with_settings(pieces, strangers=None), model)
    assert found.known is None
    assert "conformal" not in found.facts
    assert not {"stranger_share", "coverage"} & found.figures["test"].keys()


def test_a_network_without_validation_images_knows_no_strangers(small_plan):
    pieces, model = small_plan.pieces, small_plan.lesson.student.model
    manifest = pieces.manifest
    alone = replace(manifest, splits=np.where(manifest.splits == 1, 0, manifest.splits))
    found = measured(pieces.with_data(alone), model)
    assert found.known is None
    assert set(found.figures) == {"test"}
