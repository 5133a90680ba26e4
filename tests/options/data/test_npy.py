import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.data import PLAIN
from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data import arrays
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.npy import Data


def npy(path, seed=0, **changes):
    fields = {
        "path": str(path),
        "value_range": "auto",
        "class_names": None,
        "validation_fraction": 0.25,
        "test_fraction": 0.25,
    }
    return Data(**(PLAIN | fields | changes)).manifest(seed, path)


def pictures(count, shape=(4, 6, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def save(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def images_of(manifest):
    count = len(manifest.ids)
    dataset = tf.data.Dataset.range(count).map(manifest.images.image)
    assert None not in dataset.element_spec.shape
    return np.stack([image.numpy() for image in dataset])


@pytest.mark.parametrize(
    "names",
    [
        ("train_data", "train_labels", "test_data", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ],
)
@pytest.mark.parametrize("archive", [False, True])
def test_all_names_are_read(tmp_path, names, archive):
    train, test, labels = pictures(8), pictures(3, seed=1), np.array([0, 1] * 4)
    arrays = dict(zip(names, (train, labels, test, np.array([[1], [0], [1]])), strict=True))
    if archive:
        np.savez(tmp_path / "all.npz", **arrays)
    else:
        save(tmp_path, **arrays)
    manifest = npy(tmp_path / "all.npz" if archive else tmp_path)
    assert manifest.ids.tolist() == [f"train/{n}" for n in range(8)] + [
        f"test/{n}" for n in range(3)
    ]
    assert manifest.labels.tolist() == [0, 1] * 4 + [1, 0, 1]
    assert [len(manifest.rows(split)) for split in (TRAIN, VALIDATION, TEST)] == [6, 2, 3]
    assert manifest.class_names == ("0", "1")
    np.testing.assert_array_equal(manifest.images.array, np.concatenate([train, test]))
    np.testing.assert_array_equal(images_of(manifest), np.concatenate([train, test]))


def test_one_uint8_array_stays_memory_mapped(tmp_path):
    save(tmp_path, train_data=pictures(8), train_labels=np.array([0, 1] * 4))
    manifest = npy(tmp_path)
    assert isinstance(manifest.images.array, np.memmap)
    assert [len(manifest.rows(split)) for split in (TRAIN, VALIDATION, TEST)] == [4, 2, 2]


def test_large_parts_are_not_joined_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "JOIN_BYTES", 100)
    train, test = pictures(8), pictures(3, seed=1)
    save(tmp_path, train_data=train, train_labels=np.array([0, 1] * 4))
    save(tmp_path, test_data=test, test_labels=np.array([0, 1, 1]))
    manifest = npy(tmp_path)
    assert manifest.images.array is None
    np.testing.assert_array_equal(images_of(manifest), np.concatenate([train, test]))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_grey_pictures_become_rgb(tmp_path, shape):
    grey = pictures(8, shape)
    save(tmp_path, train_data=grey, train_labels=np.array([0, 1] * 4))
    manifest = npy(tmp_path)
    assert manifest.images.array.shape == (8, 4, 6, 1)
    np.testing.assert_array_equal(
        images_of(manifest), np.repeat(grey.reshape(8, 4, 6, 1), 3, axis=-1)
    )


@pytest.mark.parametrize(
    ("low", "high", "name"), [(0, 1, "0-1"), (0, 255, "0-255"), (-1, 1, "-1-1")]
)
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
def test_float_pictures_are_scaled_by_their_range(tmp_path, low, high, name, kind):
    truth = pictures(8)
    truth[0, 0, 0], truth[1, 0, 0] = 0, 255
    save(
        tmp_path,
        train_data=(truth / 255 * (high - low) + low).astype(kind),
        train_labels=np.array([0, 1] * 4),
    )
    manifest = npy(tmp_path)
    assert manifest.images.array is None
    np.testing.assert_array_equal(images_of(manifest), truth)
    assert any(note.endswith(f"read as {name}") for note in manifest.report["notes"])
    assert npy(tmp_path, value_range=name).fingerprint == manifest.fingerprint


def test_one_hot_labels_are_numbers_and_several_stay_several(tmp_path):
    hot = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1, 2]]
    save(tmp_path, train_data=pictures(9), train_labels=hot)
    manifest = npy(tmp_path)
    assert manifest.labels.tolist() == [0, 1, 2] * 3
    assert not manifest.multi_label
    hot[0, 1] = 1
    save(tmp_path, train_labels=hot)
    manifest = npy(tmp_path, class_names=("x", "y", "z"))
    assert manifest.multi_label
    assert manifest.labels.dtype == np.uint8
    assert manifest.labels[0].tolist() == [1, 1, 0]
    assert manifest.class_names == ("x", "y", "z")


def test_the_fingerprint_changes_with_pixels_and_labels(tmp_path):
    data, labels = pictures(8), np.array([0, 1] * 4)
    save(tmp_path, train_data=data, train_labels=labels)
    prints = {npy(tmp_path).fingerprint, npy(tmp_path).fingerprint}
    assert len(prints) == 1
    data[3, 0, 0, 0] ^= 1
    save(tmp_path, train_data=data)
    prints.add(npy(tmp_path).fingerprint)
    save(tmp_path, train_labels=labels[::-1])
    prints.add(npy(tmp_path).fingerprint)
    assert len(prints) == 3


LABELS = np.array([0, 1] * 4)


@pytest.mark.parametrize(
    ("arrays", "changes", "message"),
    [
        ({}, {}, r"has no arrays of a known name\. Expected train_data and train_labels"),
        ({"train_data": pictures(8)}, {}, "has train_data but no train_labels. Add it"),
        ({"test_data": pictures(8), "test_labels": LABELS}, {}, "has test_data, test_labels. Exp"),
        (
            {"train_data": pictures(8, (3, 4, 6)), "train_labels": LABELS},
            {},
            r"train_data: has the shape \(8, 3, 4, 6\)\. Move the channels last",
        ),
        (
            {"train_data": pictures(8, (12,)), "train_labels": LABELS},
            {},
            r"has the shape \(8, 12\)\. Save them as",
        ),
        (
            {"train_data": pictures(8), "train_labels": LABELS[:7]},
            {},
            r"has 8 pictures and labels of the shape \(7,\)",
        ),
        ({"train_data": pictures(8), "train_labels": LABELS + 0.5}, {}, "are no whole numbers"),
        ({"train_data": pictures(8), "train_labels": LABELS - 2}, {}, "has labels from -2 to -1"),
        (
            {"train_data": pictures(8), "train_labels": LABELS.astype(str)},
            {},
            "are no whole numbers",
        ),
        (
            {"train_data": pictures(8), "train_labels": LABELS},
            {"value_range": "0-1"},
            r"^data\.value_range: got '0-1' for pictures of type uint8",
        ),
        (
            {"train_data": pictures(8) * 2.0, "train_labels": LABELS},
            {},
            r"has values from .* outside 0-1 and 0-255 and -1-1\. Scale",
        ),
        (
            {"train_data": pictures(8) * 1.0, "train_labels": LABELS},
            {"value_range": "0-1"},
            "has values from .* outside 0-1",
        ),
        (
            {"train_data": pictures(8), "train_labels": LABELS},
            {"class_names": ("a", "b", "c")},
            r"^data\.class_names: has 3 names for 2 classes",
        ),
        (
            {"train_data": pictures(8), "train_labels": LABELS * 2},
            {},
            "has labels up to 2, and no image of 1",
        ),
        (
            {
                "train_data": pictures(8),
                "train_labels": LABELS,
                "test_data": pictures(2, (5, 5, 3)),
                "test_labels": LABELS[:2],
            },
            {},
            r"test_data is uint8 \(5, 5, 3\), train_data is uint8 \(4, 6, 3\)",
        ),
        (
            {
                "train_data": pictures(8),
                "train_labels": LABELS,
                "test_data": pictures(2),
                "test_labels": LABELS[:2] + 1,
            },
            {},
            "train has '0', '1', but test has '2'",
        ),
    ],
)
def test_mistakes_are_told_with_a_remedy(tmp_path, arrays, changes, message):
    save(tmp_path, **arrays)
    with pytest.raises(ConfigError, match=message):
        npy(tmp_path, **changes)


def test_files_that_are_no_arrays_of_numbers_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        npy(tmp_path / "none")
    save(tmp_path, train_labels=LABELS)
    np.save(tmp_path / "train_data.npy", np.array([{}] * 8, object), allow_pickle=True)
    with pytest.raises(DataError, match=r"train_data\.npy: cannot be read \(.*numpy\.save"):
        npy(tmp_path)
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(DataError, match=r"x\.npz: cannot be read"):
        npy(tmp_path / "x.npz")
    with pytest.raises(DataError, match="is a single array"):
        npy(tmp_path / "train_labels.npy")


def test_a_value_outside_the_range_stops_the_run(tmp_path):
    data = np.full((600, 2, 2, 3), 0.5, np.float32)
    data[1, 0, 0, 0] = 7  # Not in the sample that the range is judged by.
    save(tmp_path, train_data=data, train_labels=np.arange(600) % 2)
    manifest = npy(tmp_path, value_range="0-1")
    with pytest.raises(DataError, match=r"values from 0\.5 to 7\.0, outside 0 to 1"):
        manifest.images.pick(1)
