"""Figures of a network, what calibrates it, and what metadata.json says of it."""

import numpy as np
import pytest

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
