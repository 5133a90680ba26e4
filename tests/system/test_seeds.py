"""Seeds follow from what they are for, and from nothing else."""

import numpy as np

from tlcli.system.seeds import batch_seed, sample_seed, unit


def test_every_part_of_a_seed_counts():
    base = (1, 2, 3)
    others = [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1 + 2**40, 2, 3), (1, 2, 3 + 2**40)]
    seeds = [tuple(sample_seed(*numbers).numpy()) for numbers in (base, *others)]
    assert len(set(seeds)) == len(seeds)
    assert tuple(sample_seed(*base).numpy()) == seeds[0]


def test_a_batch_is_not_a_sample_of_the_same_number():
    assert not np.array_equal(batch_seed(1, 2), sample_seed(1, 2, 0))
    assert not np.array_equal(batch_seed(1, 2), batch_seed(1, 3))


def test_units_are_uniform_and_neighbours_unlike():
    first, second = (unit(sample_seed(0, 0, uid), (2000,)).numpy() for uid in (0, 1))
    assert first.min() >= 0
    assert first.max() < 1
    assert abs(first.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
