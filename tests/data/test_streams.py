"""Batches gathered from tables: the rows, views and labels of each step, cut for replicas."""

import numpy as np

from tlcli.data.labels import label_lookup
from tlcli.data.order import Order
from tlcli.data.streams import table_stream

LABELS = np.arange(6, dtype=np.int32) % 3


def batches(order, span, replicas):
    table = np.arange(12, dtype=np.float32)[:, None]  # Two views of six images.
    signals = {"teacher_logits": table * 10}
    label_of = label_lookup(LABELS, 3)
    return list(table_stream([table], signals, label_of, order, lambda e: e % 2, span, replicas))


def test_each_step_has_its_rows_views_and_labels():
    order = Order(6, 4, seed=1)
    for step, batch in zip(range(1, 4), batches(order, range(1, 4), range(1)), strict=True):
        chosen = order.slice(step)
        assert int(batch["step"]) == step
        np.testing.assert_array_equal(batch["rows"], chosen.rows)
        places = chosen.rows + chosen.epochs % 2 * 6
        np.testing.assert_array_equal(batch["inputs"][0][:, 0], places)
        np.testing.assert_array_equal(batch["teacher_logits"][:, 0], places * 10)
        np.testing.assert_array_equal(np.argmax(batch["labels"], -1), LABELS[chosen.rows])


def test_replicas_together_see_the_batch_of_one():
    one = batches(Order(6, 4, seed=1), range(2), range(1))
    two = batches(Order(6, 4, seed=1, replicas=2), range(2), range(2))
    assert len(two) == 2 * len(one)
    for step, batch in enumerate(one):
        parts = np.concatenate([part["rows"] for part in two[2 * step : 2 * step + 2]])
        assert sorted(parts) == sorted(batch["rows"].numpy())
