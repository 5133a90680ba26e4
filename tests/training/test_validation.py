"""Validation figures are those of the weights as they are, cached or not."""

from dataclasses import replace

import pytest

from tlcli.contracts.data import VALIDATION
from tlcli.evaluation.classifier import classifier, logits_of, scored
from tlcli.training.validation import Validation


def test_cached_and_computed_figures_are_those_of_the_model(small_plan):
    pieces, model = small_plan.pieces, small_plan.lesson.student.model
    planned = small_plan.phases[0]
    kernel = model.layers[-1].kernel
    before = kernel.numpy()
    both = [Validation(pieces, planned.cut, place) for place in (planned.places.validation, None)]
    assert (both[0].arrays is None, both[1].arrays is None) == (False, True)
    rows = pieces.manifest.labelled(VALIDATION)
    try:
        for factor in (0.0, 1.0):
            kernel.assign(factor * (before + 0.1 * (1 + before.sum() - before)) + 0 * before)
            batches = logits_of(classifier(model), pieces.plain_views, rows)
            expected = scored(batches, pieces.manifest, rows).result()
            for validation in both:
                assert validation.figures() == pytest.approx(expected, rel=1e-4)
    finally:
        kernel.assign(before)


def test_without_labels_there_are_no_figures(small_plan):
    manifest = small_plan.pieces.manifest
    pieces = replace(small_plan.pieces, manifest=replace(manifest, splits=manifest.splits * 0))
    assert Validation(pieces, small_plan.phases[0].cut, None).figures() == {}
