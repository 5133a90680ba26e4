import dataclasses

import numpy as np

from tlcli.contracts.data import TRAIN
from tlcli.training.order import make_order, order_of, pools_of


def test_a_phase_goes_through_the_training_images_of_the_job(small_plan):
    pieces = small_plan.pieces
    rows = pieces.manifest.rows(TRAIN)
    order = make_order(pieces, rows, 3)
    assert (order.samples, order.batch_size, order.first_epoch) == (len(rows), 10, 3)
    assert (order.replicas, order.together, order.pieces, order.pools) == (1, 1, 1, None)


def test_balanced_pools_are_the_rows_of_each_class_that_has_some(small_plan):
    manifest = small_plan.pieces.manifest
    rows = manifest.rows(TRAIN)
    rows = rows[manifest.labels[rows] != 2]
    settings = dataclasses.replace(small_plan.pieces.job.settings, sampler="balanced")
    order = order_of(settings, manifest, rows)
    assert len(order.pools) == len(manifest.class_names) - 1
    for pool in order.pools:
        assert len(np.unique(manifest.labels[rows[pool]])) == 1


def test_pools_leave_out_what_has_no_label():
    labels = np.array([3, -1, 0, 3, 0, 0], np.int32)
    assert [pool.tolist() for pool in pools_of(labels)] == [[2, 4, 5], [0, 3]]
    assert pools_of(np.zeros(0, np.int32)) == ()
    many = np.random.default_rng(0).permutation(np.repeat(np.arange(20_000), 2))
    found = pools_of(many)
    assert len(found) == 20_000
    assert all(set(many[pool].tolist()) == {label} for label, pool in enumerate(found))
