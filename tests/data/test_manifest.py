"""What all sources share: unreadable files, missing splits."""

import numpy as np
import pytest

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data.manifest import settle
from tlcli.data.readable import leave_out
from tlcli.data.samples import Samples
from tlcli.errors import DataError


def samples(per_class=10, **changes):
    labels = np.repeat([0, 1], per_class).astype(np.int32)
    given = {
        "where": "photos",
        "ids": np.array([f"{n}.png" for n in range(len(labels))], object),
        "labels": labels,
        "splits": np.full(len(labels), TRAIN, np.int8),
        "class_names": ("cat", "dog"),
    }
    return Samples(**{**given, **changes})


def test_unreadable_files_are_left_out_or_refused():
    kept, rows, skipped = leave_out(samples(), {3: "is cut off"}, "skip")
    assert skipped == [("3.png", "is cut off")]
    assert 3 not in rows
    assert len(kept.ids) == len(rows) == 19
    with pytest.raises(DataError, match=r"^3\.png: is cut off \(2 such files\)"):
        leave_out(samples(), {3: "is cut off", 5: "is a text"}, "fail")
    with pytest.raises(DataError, match="none of the 2 files can be read"):
        leave_out(samples(1), {0: "is cut off", 1: "is a text"}, "skip")


def test_missing_splits_are_carved_alike_by_the_seed():
    one, same, other = (settle(samples(), (0.2, 0.1), seed) for seed in (0, 0, 1))
    counts = [int((one.splits == split).sum()) for split in (TRAIN, VALIDATION, TEST)]
    assert counts == [14, 4, 2]
    for split in (VALIDATION, TEST):
        assert set(one.labels[one.splits == split]) == {0, 1}
    np.testing.assert_array_equal(one.splits, same.splits)
    assert not np.array_equal(one.splits, other.splits)
    assert one.notes == ("validation: 4 images taken from train by the seed",
                         "test: 2 images taken from train by the seed")  # fmt: skip


def test_a_split_that_is_given_stays():
    splits = np.full(20, TRAIN, np.int8)
    splits[[0, 10]] = VALIDATION
    found = settle(samples(splits=splits), (0.2, 0.1), 0)
    np.testing.assert_array_equal(found.splits, splits)
    assert "test stays empty" in found.notes[-1]


def test_too_few_images_for_the_splits_are_told():
    with pytest.raises(DataError, match=r"class 'cat' has 2 images to train on, too few for 3"):
        settle(samples(2), (0.2, 0.1), 0)
