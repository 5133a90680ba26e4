import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.data import PLAIN
from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION
from tlcli.errors import ConfigError
from tlcli.options.data.digits import FILE, Data


def digits(tmp_path, seed=0, **changes):
    fields = {
        "classes": (5, 6, 7, 8, 9),
        "images_per_class": None,
        "validation_fraction": 0.15,
        "test_fraction": 0.2,
    }
    return Data(**(PLAIN | fields | changes)).manifest(seed, tmp_path)


def test_all_ten_digits_are_the_1797_scans(tmp_path):
    manifest = digits(tmp_path, classes=tuple(range(10)))
    assert manifest.images.array.shape == (1797, 8, 8, 1)
    assert manifest.images.array.dtype == np.uint8
    # Counts of the data set's own description.
    assert np.bincount(manifest.labels).tolist() == [
        *(178, 182, 177, 183, 181),
        *(182, 181, 179, 174, 180),
    ]
    assert manifest.images.array.max() == 255
    # First scan, first row as published: 0 0 5 13 9 1 0 0 of 16.
    assert manifest.images.array[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert FILE.stat().st_size < 60_000


def test_class_order_is_as_given(tmp_path):
    manifest = digits(tmp_path, classes=(7, 2))
    assert manifest.class_names == ("7", "2")
    every = digits(tmp_path, classes=tuple(range(10)))
    truth = dict(zip(every.ids, every.labels, strict=True))
    names = [int(manifest.class_names[label]) for label in manifest.labels]
    assert [truth[name] for name in manifest.ids] == names


def test_fewer_training_images_leave_the_other_splits_alone(tmp_path):
    every, few = digits(tmp_path), digits(tmp_path, images_per_class=7)
    for split in (VALIDATION, TEST):
        np.testing.assert_array_equal(every.ids[every.rows(split)], few.ids[few.rows(split)])
    assert np.bincount(few.labels[few.rows(TRAIN)]).tolist() == [7] * 5
    more = digits(tmp_path, images_per_class=9)
    assert set(few.ids) < set(more.ids) < set(every.ids)
    other = digits(tmp_path, seed=1, images_per_class=7)
    assert set(other.ids) != set(few.ids)


def test_the_split_of_a_digit_is_the_same_in_any_choice(tmp_path):
    one, two = digits(tmp_path, classes=(5, 6)), digits(tmp_path, classes=(6, 1))
    splits = [dict(zip(m.ids, m.splits, strict=True)) for m in (one, two)]
    shared = splits[0].keys() & splits[1].keys()
    assert len(shared) == 181
    assert all(splits[0][name] == splits[1][name] for name in shared)


def test_splits_are_disjoint_and_the_seed_shows_in_the_fingerprint(tmp_path):
    manifest = digits(tmp_path)
    sizes = [len(manifest.rows(split)) for split in range(len(SPLIT_NAMES))]
    assert sum(sizes) == len(manifest.ids) == len(set(manifest.ids))
    assert digits(tmp_path).fingerprint == manifest.fingerprint
    assert digits(tmp_path, seed=1).fingerprint != manifest.fingerprint


def test_images_are_rgb_with_a_known_shape_in_tf_data(tmp_path):
    manifest = digits(tmp_path)
    dataset = tf.data.Dataset.range(3).map(manifest.images.image)
    assert dataset.element_spec.shape == (8, 8, 3)
    for row, image in enumerate(dataset):
        grey = manifest.images.array[row]
        np.testing.assert_array_equal(image, np.repeat(grey, 3, axis=-1))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"classes": (5,)}, "classes"),
        ({"classes": (5, 5)}, "classes"),
        ({"classes": (5, 10)}, "classes"),
        ({"images_per_class": 0}, "images_per_class"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
    ],
)
def test_values_out_of_range_are_refused(tmp_path, changes, place):
    with pytest.raises(ConfigError, match=rf"^data\.{place}: got .*Give "):
        digits(tmp_path, **changes)
