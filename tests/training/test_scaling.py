"""The model of many workers, against draws and a simulation of the ring."""

import numpy as np
import pytest

from tlcli.training.scaling import (
    Costs,
    expected_largest,
    fitted_ring,
    parts,
    predicted,
    ring,
    waited_by_the_last,
)


@pytest.mark.parametrize("count", [1, 2, 3, 16, 200])
@pytest.mark.parametrize("kind", ["lognormal", "uniform", "rare"])
def test_the_expected_largest_is_that_of_many_draws(count, kind):
    random = np.random.default_rng(count)
    samples = {
        "lognormal": random.lognormal(0, 0.4, 300), "uniform": random.random(50),
        "rare": np.where(random.random(400) < 0.02, 9.0, 1.0),
    }[kind]  # fmt: skip
    drawn = random.choice(samples, (20_000, count)).max(1)
    error = 4 * drawn.std() / np.sqrt(len(drawn)) + 1e-12
    assert expected_largest(samples, count) == pytest.approx(drawn.mean(), abs=error)


def test_the_expected_largest_by_hand():
    # Of two draws from 1 and 3 one is 3 in three of four cases.
    assert expected_largest([3.0, 1.0], 2) == pytest.approx(0.25 * 1 + 0.75 * 3)
    assert expected_largest([3.0, 1.0], 1) == pytest.approx(2.0)
    assert expected_largest([2.0] * 5, 1000) == pytest.approx(2.0)


def simulated_ring(workers, size, latency, seconds_a_byte):
    """Every worker sends a piece to the next, once it has what it sends: message by message."""
    ready = np.zeros((workers, workers))  # worker, piece: when it has it
    free = np.zeros(workers)
    for turn in range(2 * (workers - 1)):
        arrived = ready.copy()
        for worker in range(workers):
            piece, following = (worker - turn) % workers, (worker + 1) % workers
            begun = max(free[worker], ready[worker, piece])
            free[worker] = begun + latency + size / workers * seconds_a_byte
            arrived[following, piece] = free[worker]
        ready = arrived
    return ready.max()


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_a_ring_takes_what_its_messages_take(workers):
    found = ring(workers, 3e6, 1e-4, 2e-9)
    assert found == pytest.approx(simulated_ring(workers, 3e6, 1e-4, 2e-9))


def test_a_ring_by_hand():
    # Three workers: four messages of 1 MB at 1 GB/s, 1 ms and 0.5 ms of latency each.
    assert ring(3, 3e6, 5e-4, 1e-9) == pytest.approx(4 * 1.5e-3)


def test_latency_and_bandwidth_are_found_again():
    sizes = [(n, size) for n in (2, 3, 5) for size in (4.0, 1e5, 1e7)]
    measured = [(n, size, ring(n, size, 3e-4, 4e-9)) for n, size in sizes]
    assert fitted_ring(measured) == pytest.approx((3e-4, 4e-9))


def test_neither_is_below_zero():
    falling = [(2, 4.0, 2e-3), (2, 1e6, 1e-3)]
    latency, seconds_a_byte = fitted_ring(falling)
    assert latency > 0
    assert seconds_a_byte == 0
    of_bytes = [(2, 1e3, 1e-7), (2, 1e6, 1e-3)]
    assert min(fitted_ring(of_bytes)) >= 0


def costs(**changes):
    values = {"batch": 10, "computing": [0.1, 0.2], "rest": 0.0, "input_rate": None,
              "gradient_bytes": 2_000_000, "sums": 0, "sum_bytes": 0.0, "latency": 1e-3,
              "seconds_a_byte": 1e-8}  # fmt: skip
    return Costs(**{**values, **changes})


def test_a_forecast_by_hand():
    # Largest of two: 0.175 s. Ring: two messages of 1 MB: 2 * (1 + 10) ms.
    found = predicted(costs(), 2)
    step = 0.175 + 0.022
    assert found.images_per_second == pytest.approx(20 / step)
    assert found.efficiency == pytest.approx(20 / step / (2 * 10 / 0.15))
    assert (found.computing, found.stragglers) == pytest.approx((0.15, 0.025))
    assert (found.reduction, found.input) == pytest.approx((0.022, 0.0))


def test_small_sums_are_waited_for_one_after_the_other():
    # Ten of 0.1 MB over two workers: ten times two messages of 0.05 MB, 2 * (1 + 0.5) ms each.
    few, many = predicted(costs(), 2), predicted(costs(sums=10, sum_bytes=1e5), 2)
    assert many.reduction - few.reduction == pytest.approx(0.03)
    assert 20 / many.images_per_second - 20 / few.images_per_second == pytest.approx(0.03)
    assert predicted(costs(sums=10, sum_bytes=1e5), 1).reduction == 0


def test_one_that_waits_for_nobody_is_efficient():
    assert predicted(costs(computing=[0.1]), 1).efficiency == pytest.approx(1)
    free = costs(computing=[0.1] * 3, latency=0.0, seconds_a_byte=0.0)
    assert predicted(free, 1000).efficiency == pytest.approx(1)


def test_images_that_come_too_slowly_set_the_pace_until_others_do():
    slow = costs(computing=[0.1], input_rate=50.0)
    assert predicted(slow, 1).images_per_second == pytest.approx(50)
    assert predicted(slow, 1).input == pytest.approx(0.1)
    late = predicted(costs(computing=[0.1], input_rate=50.0, latency=0.2), 2)
    assert late.input == 0  # they come while sums are waited for


def test_workers_that_share_a_core_take_turns():
    alone, crowded = (predicted(costs(latency=0.0, seconds_a_byte=0.0), 2, n) for n in (1, 2))
    assert crowded.images_per_second == pytest.approx(alone.images_per_second / 2)


def test_parts_are_the_step():
    # Two workers, two steps: waiting, computing, reducing.
    durations = [[[0.0, 1.0, 0.5], [0.1, 1.0, 0.4]], [[0.0, 1.4, 0.1], [0.1, 1.2, 0.2]]]
    found = parts(1.8, durations)
    assert found.input == pytest.approx(0.05)
    assert found.computing == pytest.approx(1.15)
    assert found.reduction == pytest.approx((0.1 + 0.2) / 2)
    assert found.stragglers == pytest.approx((0.4 + 0.2 + 0 + 0) / 4)
    parts_of_it = (found.computing, found.input, found.reduction, found.stragglers, found.rest)
    assert sum(parts_of_it) == pytest.approx(found.step)


def test_a_sum_takes_what_the_last_waited():
    assert waited_by_the_last([[0.5, 0.1, 0.2], [0.1, 0.3, 0.2]]) == pytest.approx(0.1)
