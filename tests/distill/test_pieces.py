"""Pieces with other samples change manifest and views together."""

import numpy as np

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.training.build import pieces_of
from tlcli.training.data import without_validation


def test_manifest_and_views_go_together():
    pieces = pieces_of(train_job(config("train", "hardware=cpu", "data.images_per_class=8")))
    assert pieces.replicas == 1
    found = without_validation(pieces)
    assert len(found.manifest.labelled(1)) == 0
    assert found.train_views.manifest.splits is found.plain_views.manifest.splits
    np.testing.assert_array_equal(found.manifest.rows(0), pieces.manifest.rows(0))
    assert found.student is pieces.student
    assert len(pieces.manifest.labelled(1)) > 0
