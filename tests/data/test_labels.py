"""Labels as rows of a table, looked up inside tf.data."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.data.labels import label_lookup, label_table
from tlcli.data.views import Views


@pytest.fixture(scope="module")
def views():
    from tlcli.config.job import train_job
    from tlcli.data.resize import Resize

    job = train_job(config("train", "augmentation=light", "data.images_per_class=8"))
    manifest = job.data.manifest(0, None)
    return Views(manifest, Resize(32, "crop", 1.0, True), job.augmentation, 3, 2)


def test_label_tables_are_one_hot(views):
    rows = views.manifest.rows(0)
    table = label_table(views.manifest, rows)
    np.testing.assert_array_equal(table.argmax(1), views.manifest.labels[rows])
    assert (table.sum(1) == 1).all()


@pytest.mark.parametrize("labels", [[0, 2, -1, 1], [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]]])
def test_looked_up_labels_are_the_rows_of_the_table(views, labels):
    labels = np.array(labels, np.int32 if np.ndim(labels) == 1 else np.uint8)
    manifest = replace(views.manifest, labels=labels, class_names=("a", "b", "c"))
    rows = np.array([[3, 0], [2, 1]])
    found = label_lookup(labels, 3)(rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, label_table(manifest, np.arange(4))[rows])
