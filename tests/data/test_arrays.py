"""Pictures in arrays: of one type, of several, in numbers of some range."""

import numpy as np
import pytest

from tlcli.data.arrays import PartImages, array_source, convert
from tlcli.errors import ConfigError, DataError


def test_rows_of_parts_follow_each_other():
    parts = [np.full((2, 4, 4, 1), 1, np.uint8), np.full((3, 4, 4, 1), 2, np.uint8)]
    images = PartImages(parts, lambda picture: picture)
    assert [int(images.pick(row)[0, 0, 0]) for row in range(5)] == [1, 1, 2, 2, 2]
    assert images.image(4).shape == (4, 4, 3)


def test_numbers_are_rounded_into_bytes():
    found = convert(np.array([[[0.0, 0.5, 1.0]]], np.float32), 0.0, 1.0, "x")
    np.testing.assert_array_equal(found, [[[0, 128, 255]]])
    found = convert(np.array([[[-1.0, 0.0, 1.0]]]), -1.0, 1.0, "x")
    np.testing.assert_array_equal(found, [[[0, 128, 255]]])
    for bad in (1.01, np.nan):
        with pytest.raises(DataError, match="outside 0 to 1"):
            convert(np.full((1, 1, 3), bad), 0.0, 1.0, "x")


@pytest.mark.parametrize(("high", "name"), [(1.0, "0-1"), (200.0, "0-255")])
def test_the_range_is_judged_by_the_values(high, name):
    parts = [np.linspace(0, high, 2 * 4 * 4 * 3, dtype=np.float32).reshape(2, 4, 4, 3)]
    images, notes = array_source("x", parts, "auto")
    assert notes[0].endswith(f"read as {name}")
    assert images.image(1).dtype == np.uint8


def test_bytes_are_no_fractions():
    with pytest.raises(ConfigError, match=r"^data\.value_range: got '0-1' for pictures of type"):
        array_source("x", [np.full((1, 4, 4, 3), 2, np.uint8)], "0-1")
    with pytest.raises(DataError, match="has values from -5 to 3"):
        array_source("x", [np.array([-5.0, 3.0], np.float32).reshape(1, 1, 2, 1)], "auto")
