import numpy as np
import pytest

from tlcli.data import order as orders
from tlcli.data.order import Order, shuffled
from tlcli.errors import ConfigError


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


def spread(replicas, batch_size=15, pieces=1, together=1):
    return Order(50, batch_size, 7, replicas, pieces, together)


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("replicas", [1, 2])
def test_pieces_are_the_same_images_on_any_number_of_replicas(replicas, pieces, together):
    alone, shared = (spread(n, 15, pieces, together) for n in (1, replicas))
    shares = [shared.shares(replica) for replica in range(replicas)]
    for piece in range(pieces):
        found = np.concatenate([np.asarray(mine[piece]) for mine in shares])
        np.testing.assert_array_equal(found, alone.shares(0)[piece])
    places = np.concatenate([shared.places(replica) for replica in range(replicas)])
    assert sorted(places) == list(range(15))


def test_shares_are_as_equal_as_they_can_be():
    assert [len(spread(3, 10).places(r)) for r in range(3)] == [3, 3, 4]
    assert [len(spread(2, 10, pieces=2).places(r)) for r in range(2)] == [4, 6]


def test_pairs_stay_together():
    order = spread(2, 15, pieces=3, together=2)
    # Eight groups in three pieces are 2, 3 and 3; each piece is cut between the two.
    assert order.shares(0) == [range(2), range(4, 6), range(10, 12)]
    assert order.shares(1) == [range(2, 4), range(6, 10), range(12, 15)]


@pytest.mark.parametrize(
    ("batch_size", "pieces", "together", "least"), [(3, 1, 1, 4), (7, 2, 1, 8), (6, 1, 2, 8)]
)
def test_a_replica_without_images_is_refused(batch_size, pieces, together, least):
    with pytest.raises(ConfigError, match=rf"^batch_size: .* 4 devices .* Give {least} or more\.$"):
        spread(4, batch_size, pieces, together)
    assert all(len(s) for r in range(4) for s in spread(4, least, pieces, together).shares(r))


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
    order = Order(samples=20, batch_size=6, seed=1)
    rows, epochs = order.block(2, 4)
    assert rows.shape == epochs.shape == (2, 6)
    np.testing.assert_array_equal(rows[1], order.slice(3).rows)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000, 65_537])
def test_a_computed_order_is_a_permutation(count):
    found = shuffled(np.arange(count), count, (3, 5))
    assert sorted(found.tolist()) == list(range(count))
    # Any part of it is what the whole has there.
    some = np.random.default_rng(0).integers(0, count, 50)
    np.testing.assert_array_equal(shuffled(some, count, (3, 5)), found[some])


def test_a_computed_order_is_mixed_well_and_another_each_epoch():
    count = 20_000
    first, second = (shuffled(np.arange(count), count, (0, epoch)) for epoch in (0, 1))
    # Of two independent permutations one place agrees on average.
    assert (first == second).sum() < 8
    assert (first == np.arange(count)).sum() < 8
    for found in (first, second):
        assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.03
        assert abs(np.corrcoef(found, np.arange(count))[0, 1]) < 0.03
        # Each tenth of the places holds each tenth of the images about as often as any other.
        table = np.histogram2d(np.arange(count), found, 10)[0]
        assert ((table - 200) ** 2 / 200).sum() < 150  # of 81 degrees; 1 in 100,000 is above


def test_order_of_very_many_images_is_not_listed(monkeypatch):
    monkeypatch.setattr(orders, "MOST_LISTED", 9)
    order = Order(samples=10, batch_size=4, seed=3)
    seen = rows_of(order, 5)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert Order(10**8, 64, 0).slice(10**6).rows.max() < 10**8
