import numpy as np
import pytest

from tlcli.order import Order


def rows_of(order, steps):
    return np.concatenate([order.slice(step).rows for step in range(steps)])


def test_every_image_is_seen_once_an_epoch_with_uneven_batches():
    order = Order(samples=10, batch_size=4, seed=3)
    seen = rows_of(order, 5)  # 20 places are two epochs
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:])


def test_a_batch_larger_than_the_data_crosses_epochs():
    order = Order(samples=3, batch_size=8, seed=0)
    one = order.slice(0)
    assert one.epochs.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert sorted(one.rows[:3]) == [0, 1, 2]


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_together_see_the_batch_of_one_device(replicas):
    alone = Order(samples=50, batch_size=15, seed=7)
    spread = Order(samples=50, batch_size=15, seed=7, replicas=replicas)
    for step in (0, 3, 11):
        slices = [spread.slice(step, replica) for replica in range(replicas)]
        together = np.concatenate([s.rows[s.weights > 0] for s in slices])
        np.testing.assert_array_equal(together, alone.slice(step).rows)
        assert sum(s.weights.sum() for s in slices) == 15
        assert all(len(s.rows) % 2 == 0 for s in slices)


def test_any_step_is_found_without_the_steps_before():
    order = Order(samples=1000, batch_size=32, seed=5)
    np.testing.assert_array_equal(order.slice(77).rows, rows_of(order, 78)[77 * 32 :])


def test_seed_and_epoch_change_the_order():
    first, other = Order(100, 100, 0), Order(100, 100, 1)
    assert not np.array_equal(first.slice(0).rows, other.slice(0).rows)


def test_balanced_sampling_shows_classes_equally_often():
    pools = (np.arange(90), np.arange(90, 100))
    order = Order(samples=100, batch_size=100, seed=0, pools=pools)
    rows = order.slice(0).rows
    assert (rows >= 90).sum() == 50
    assert set(rows[rows >= 90]) == set(range(90, 100))
    assert len(set(rows[rows < 90])) == 50


def test_block_is_the_slices_in_order():
    order = Order(samples=20, batch_size=6, seed=1, replicas=2)
    rows, epochs, weights = order.block(2, 4)
    assert rows.shape == epochs.shape == weights.shape == (2, 2, 4)
    np.testing.assert_array_equal(rows[1, 1], order.slice(3, 1).rows)
