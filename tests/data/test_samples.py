import numpy as np
import pytest

from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.data.samples import (
    Samples,
    check_classes,
    class_counts,
    describe_sizes,
    fingerprint,
    some_names,
)
from tlcli.errors import DataError


def samples(labels=(0, 1), splits=(TRAIN, TRAIN), names=("cat", "dog"), ids=("a", "b")):
    return Samples("photos", np.array(ids, object), np.array(labels, np.int32),
                   np.array(splits, np.int8), names)  # fmt: skip


def test_classes_are_counted_with_and_without_several_labels():
    np.testing.assert_array_equal(class_counts(np.array([0, 2, 2, -1]), 4), [1, 0, 2, 0])
    np.testing.assert_array_equal(class_counts(np.array([[1, 1], [0, 1]], np.uint8), 2), [1, 2])


def test_a_class_without_a_training_image_is_named_with_both_sides():
    check_classes(samples())
    with pytest.raises(DataError, match=r"train has 'cat', but validation has 'dog'"):
        check_classes(samples(splits=(TRAIN, VALIDATION)))
    with pytest.raises(DataError, match=r"train has 'cat', but not 'dog'"):
        check_classes(samples(labels=(0, 0)))
    with pytest.raises(DataError, match="has only the class 'cat'"):
        check_classes(samples(labels=(0, 0), names=("cat",)))


def test_long_lists_of_names_are_cut():
    assert some_names(["a", "b"]) == "'a', 'b'"
    assert some_names(list("abc"), 2) == "'a', 'b' and 1 more"


def test_sizes_in_words():
    assert describe_sizes(np.array([]), np.array([])) == "no pictures"
    assert describe_sizes(np.array([4, 4]), np.array([3, 3])) == "all 4x3"
    found = describe_sizes(np.array([4, 8, 6]), np.array([3, 9, 3]))
    assert found == "4x3 to 8x9, median 6x3"


def test_the_fingerprint_counts_all_that_decides_a_training():
    base, pixels = samples(), np.zeros(2)
    others = [samples(ids=("a", "c")), samples(labels=(1, 0)), samples(names=("cat", "cow")),
              samples(splits=(TRAIN, VALIDATION)), samples(ids=("ab", ""))]  # fmt: skip
    found = [fingerprint(one, [pixels]) for one in (base, *others)]
    found.append(fingerprint(base, [np.ones(2)]))
    assert len(set(found)) == len(found)
    assert fingerprint(samples(), [np.zeros(2)]) == found[0]
