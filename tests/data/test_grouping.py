import numpy as np
import pytest

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data import grouping
from tlcli.errors import ConfigError, DataError


def test_groups_are_what_an_expression_finds():
    names = grouping.by_expression(r"p(\d+)_")
    assert names(["a/p1_x.png", "b/p1_y.png", "p2_.png", "other"]).tolist() == ["1", "1", "2", ""]
    assert grouping.by_expression(r"^[^/]+")(["a/x", "b/x"]).tolist() == ["a", "b"]
    assert grouping.by_expression(r"(\w)/(\w)?")(["a/b", "a/"]).tolist() == ["a\0b", "a\0"]
    assert grouping.by_expression(None) is None


def test_an_expression_that_is_in_no_id_is_refused():
    with pytest.raises(ConfigError, match=r"'q' is in no id, as a\.png"):
        grouping.by_expression("q")(["a.png"])


@pytest.mark.parametrize("given", ["(", "", "a" * 1001, "(?P<x"])
def test_what_is_no_expression_is_refused(given):
    with pytest.raises(ConfigError, match=r"^data\.groups: got .* or null\.$"):
        grouping.check_groups(given)


def test_samples_without_a_group_are_alone():
    numbers = grouping.numbered(np.array(["x", "", "y", "x", ""], object))
    assert numbers[0] == numbers[3]
    assert len({*numbers.tolist()}) == 4
    assert sorted({*numbers.tolist()}) == [0, 1, 2, 3]


def split(labels, numbers, fractions=(0.2, 0.2), seed=0):
    found = grouping.split_groups(labels, numbers, fractions, seed)
    assert grouping.apart(numbers, found) == 0
    return found


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_whole_and_classes_are_shared_out(seed):
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 60, 600)
    labels = random.integers(0, 3, 600).astype(np.int32)
    found = split(labels, numbers, seed=seed)
    for label in range(3):
        shares = np.bincount(found[labels == label], minlength=3) / (labels == label).sum()
        np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.08)
    np.testing.assert_array_equal(found, split(labels, numbers, seed=seed))


def test_each_split_gets_a_group_and_each_class_is_trained_on():
    # Three groups for three splits, the classes 1 and 2 in one group each.
    labels = np.array([0] * 9 + [1] * 3 + [0] * 3, np.int32)
    numbers = np.repeat([0, 1, 2], [9, 3, 3])
    found = split(labels, numbers, (0.1, 0.1))
    assert (found[numbers == 1] == TRAIN).all()
    assert {TRAIN, VALIDATION} <= {*found.tolist()} or {TRAIN, TEST} <= {*found.tolist()}
    labels = np.zeros(5, np.int32)
    assert {*split(labels, np.array([0, 0, 0, 1, 2]), (0.1, 0.1)).tolist()} == {0, 1, 2}


def test_fewer_groups_than_splits_are_refused():
    with pytest.raises(DataError, match="there are 2 groups for 3 splits"):
        grouping.split_groups(np.zeros(4, np.int32), np.array([0, 0, 1, 1]), (0.1, 0.1), 0)


def test_several_labels_and_none_are_split_too():
    random = np.random.default_rng(0)
    numbers = np.repeat(np.arange(50), 4)
    several = (random.random((200, 3)) < 0.4).astype(np.uint8)
    found = split(several, numbers)
    np.testing.assert_allclose(several[found == TEST].sum(0) / several.sum(0), 0.2, atol=0.06)
    none = split(np.full(200, -1, np.int32), numbers)
    assert np.bincount(none).tolist() == [120, 40, 40]


def test_groups_in_several_splits_are_counted():
    assert grouping.apart(np.array([0, 0, 1, 1, 2]), np.array([0, 2, 1, 1, 9])) == 1
    assert grouping.apart(np.array([0]), np.array([9])) == 0
