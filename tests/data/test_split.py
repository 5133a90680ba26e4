import numpy as np
import pytest

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data.split import check_fractions, split_labels
from tlcli.errors import ConfigError


def counts(labels, splits):
    return [[int(((labels == c) & (splits == s)).sum()) for s in range(3)] for c in range(3)]


def test_every_class_is_shared_out_alike():
    labels = np.repeat(np.arange(3, dtype=np.int32), [100, 40, 10])
    labels = np.random.default_rng(0).permutation(labels)
    splits = split_labels(labels, (0.2, 0.1), 0)
    assert splits.dtype == np.int8
    assert counts(labels, splits) == [[70, 20, 10], [28, 8, 4], [7, 2, 1]]


def test_a_small_class_is_in_every_split():
    labels = np.array([0] * 100 + [1] * 3, np.int32)
    splits = split_labels(labels, (0.1, 0.1), 0)
    assert sorted(splits[labels == 1]) == [TRAIN, VALIDATION, TEST]


def test_the_seed_decides_and_only_the_seed():
    labels = np.tile(np.arange(5, dtype=np.int32), 40)
    first, again, other = (split_labels(labels, (0.2, 0.2), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_test_does_not_depend_on_validation():
    labels = np.tile(np.arange(5, dtype=np.int32), 40)
    few, many = (split_labels(labels, (share, 0.2), 1) for share in (0.0, 0.5))
    np.testing.assert_array_equal(few == TEST, many == TEST)
    assert not (few == VALIDATION).any()


def test_unlabelled_samples_are_for_training():
    labels = np.array([-1] * 10 + [0, 1] * 10, np.int32)
    splits = split_labels(labels, (0.3, 0.3), 0)
    assert (splits[:10] == TRAIN).all()


def test_too_few_samples_are_an_error():
    with pytest.raises(ValueError, match="class 1 has too few"):
        split_labels(np.array([0, 0, 0, 1, 1], np.int32), (0.2, 0.2), 0)


def test_several_labels_are_shared_out_alike():
    rng = np.random.default_rng(0)
    labels = (rng.random((2000, 5)) < [0.5, 0.3, 0.1, 0.05, 0.01]).astype(np.uint8)
    splits = split_labels(labels, (0.2, 0.1), 3)
    np.testing.assert_array_equal(splits, split_labels(labels, (0.2, 0.1), 3))
    for split, share in ((TRAIN, 0.7), (VALIDATION, 0.2), (TEST, 0.1)):
        expected = share * labels.sum(0)
        assert (np.abs(labels[splits == split].sum(0) - expected) <= 2 + 0.05 * expected).all()
    assert (splits[~labels.any(1)] == TRAIN).all()


def test_no_fraction_means_an_empty_split_for_several_labels_too():
    labels = np.eye(4, dtype=np.uint8)[np.arange(40) % 4]
    assert set(split_labels(labels, (0.25, 0.0), 0)) == {TRAIN, VALIDATION}


@pytest.mark.parametrize("fractions", [(-0.1, 0), (0, 1.0), (0.5, 0.5)])
def test_fractions_that_leave_nothing_to_train_on_are_refused(fractions):
    with pytest.raises(ConfigError, match=r"^data\.(validation|test)_fraction: got"):
        check_fractions(*fractions)
