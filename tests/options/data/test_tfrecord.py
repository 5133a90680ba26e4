import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.data import PLAIN
from tests.helpers.pictures import encode, smooth
from tlcli.data.records import FORMAT
from tlcli.errors import ConfigError, DataError
from tlcli.options.data import tfrecord
from tlcli.options.data.tfrecord import Data


def records(path, tmp_path, **changes):
    fields = {
        "path": str(path),
        "class_names": None,
        "label_offset": 0,
        "validation_fraction": 0.0,
        "test_fraction": 0.0,
        "on_error": "fail",
        "damaged": "skip",
        "max_pixels": 1_000_000,
    }
    return Data(**(PLAIN | fields | changes)).manifest(0, tmp_path / "cache")


def example(data, label, text=None):
    feature = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])),
        "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    if text is not None:
        feature["image/class/text"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[text.encode()])
        )
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write(path, examples, options=None):
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for one in examples:
            writer.write(one)


@pytest.fixture
def root(tmp_path):
    """Two training shards of four records, a test shard of two."""
    path = tmp_path / "set"
    path.mkdir()
    for shard in range(2):
        write(
            path / f"flowers_train-0000{shard}-of-00002.tfrecord",
            [
                example(encode(smooth(4 * shard + row), ["PNG", "BMP"][row % 2]), row % 2)
                for row in range(4)
            ],
        )
    write(path / "flowers_test.tfrecord", [example(encode(smooth(9 - row)), row) for row in (1, 0)])
    return path


def test_every_record_is_read_at_random_access(root, tmp_path):
    manifest = records(root, tmp_path)
    assert manifest.ids.tolist() == (
        [f"flowers_test.tfrecord/{row}" for row in range(2)]
        + [f"flowers_train-0000{s}-of-00002.tfrecord/{r}" for s in range(2) for r in range(4)]
    )
    assert manifest.labels.tolist() == [1, 0] + [0, 1] * 4
    assert manifest.splits.tolist() == [2, 2] + [0] * 8
    order = [9, 3, 0, 1, 5]
    seeds = [8, 9, *range(8)]
    images = tf.data.Dataset.from_tensor_slices(np.array(order)).map(manifest.images.image)
    for row, image in zip(order, images, strict=True):
        np.testing.assert_array_equal(image, smooth(seeds[row]))


def test_records_are_read_side_by_side_where_operations_are_deterministic(
    root, tmp_path, monkeypatch
):
    def meet(*words, **named):
        meeting.wait(timeout=10)
        return open(*words, **named)

    tf.config.experimental.enable_op_determinism()
    manifest = records(root, tmp_path)
    meeting = threading.Barrier(2)
    monkeypatch.setattr(tfrecord, "open", meet, raising=False)
    rows = tf.data.Dataset.range(len(manifest.ids)).map(manifest.images.image, 2)
    assert len(list(rows)) == len(manifest.ids)


def test_a_picture_that_ends_in_zeros_is_whole(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    black = np.zeros((8, 8, 3), np.uint8)
    write(root / "train", [example(encode(black, "BMP"), row % 2) for row in range(4)])
    for image in tf.data.Dataset.range(4).map(records(root, tmp_path).images.image):
        np.testing.assert_array_equal(image, black)


def test_missing_splits_are_carved(root, tmp_path):
    manifest = records(root, tmp_path, validation_fraction=0.25)
    assert [len(manifest.rows(split)) for split in range(3)] == [6, 2, 2]
    manifest = records(root / "*train*", tmp_path, validation_fraction=0.25, test_fraction=0.25)
    assert [len(manifest.rows(split)) for split in range(3)] == [4, 2, 2]


def test_the_index_is_kept_until_the_shard_changes(root, tmp_path, monkeypatch):
    first = records(root, tmp_path)
    read, rows = [], FORMAT.rows
    form = replace(FORMAT, rows=lambda path: read.append(path.name) or rows(path))
    monkeypatch.setattr("tlcli.data.records.FORMAT", form)
    assert records(root, tmp_path).fingerprint == first.fingerprint
    assert read == []
    write(
        root / "flowers_test.tfrecord", [example(encode(smooth(7, 32, 40)), row) for row in (0, 1)]
    )
    second = records(root, tmp_path)
    assert read == ["flowers_test.tfrecord"]
    assert second.fingerprint != first.fingerprint
    assert second.labels[:2].tolist() == [0, 1]
    assert second.images.image(tf.constant(0, tf.int64)).shape == (32, 40, 3)


def test_the_users_folder_is_only_read(root, tmp_path):
    def state():
        return [(entry.name, entry.stat().st_mtime_ns) for entry in sorted(root.iterdir())]

    before = state(), os.stat(root).st_mtime_ns
    records(root, tmp_path)
    assert (state(), os.stat(root).st_mtime_ns) == before


def test_class_names_come_from_the_option_the_file_or_the_records(root, tmp_path, pixels):
    assert records(root, tmp_path).class_names == ("0", "1")
    texts = [example(encode(pixels), row % 2, ["rose", "tulip"][row % 2]) for row in range(4)]
    for path in root.iterdir():
        write(path, texts)
    assert records(root, tmp_path).class_names == ("rose", "tulip")
    (root / "labels.txt").write_text("0:daisy\n1:aster\n")
    assert records(root, tmp_path).class_names == ("daisy", "aster")
    (root / "labels.txt").write_text("lily\niris\n")
    assert records(root, tmp_path).class_names == ("lily", "iris")
    assert records(root, tmp_path, class_names=("x", "y")).class_names == ("x", "y")


def test_labels_may_start_at_one(tmp_path, pixels):
    root = tmp_path / "set"
    root.mkdir()
    write(root / "train", [example(encode(pixels), 1 + row % 2) for row in range(4)])
    assert records(root, tmp_path, label_offset=1).labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"has labels from 1 to 2, .*label_offset=1"):
        records(root, tmp_path)
    with pytest.raises(ConfigError, match=r"^data\.label_offset: got 2"):
        records(root, tmp_path, label_offset=2)


def test_unreadable_records_are_skipped_with_their_reason(tmp_path, pixels):
    root = tmp_path / "set"
    root.mkdir()
    good = encode(pixels)
    pictures = [good, good, b"no picture", good[:-20], good, good]
    write(root / "train", [example(data, row % 2) for row, data in enumerate(pictures)])
    manifest = records(root, tmp_path, on_error="skip")
    assert [name for name, _ in manifest.report["skipped"]] == ["train/2", "train/3"]
    assert manifest.ids.tolist() == ["train/0", "train/1", "train/4", "train/5"]
    for image in tf.data.Dataset.range(4).map(manifest.images.image):
        np.testing.assert_array_equal(image, pixels)
    with pytest.raises(DataError, match=r"^train/2: is a text.*\(2 such files\)"):
        records(root, tmp_path)


def damage(data):
    return data[:4] + bytes([data[4] ^ 1]) + data[5:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage, "flowers_test.tfrecord: is no TFRecord, or broken at byte 0"),
        (lambda data: data[:-30], "flowers_test.tfrecord: ends within a record"),
        (lambda data: data + data[:5], "ends within a record"),
        (lambda data: b"some text, much longer than a header", "is no TFRecord"),
    ],
)
def test_broken_shards_are_named(root, tmp_path, change, message):
    path = root / "flowers_test.tfrecord"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        records(root, tmp_path)


def test_other_mistakes_are_told_with_a_remedy(root, tmp_path, pixels):
    with pytest.raises(ConfigError, match=r"^data\.path: .*there are no shards\. Give a folder"):
        records(tmp_path / "none", tmp_path)
    with pytest.raises(ConfigError, match=r"^data\.class_names: has 3 names for 2 classes"):
        records(root, tmp_path, class_names=("a", "b", "c"))
    (root / "flowers_test.tfrecord").unlink()
    write(root / "train", [tf.train.Example().SerializeToString()])
    with pytest.raises(DataError, match=r"train record 0: has no image/encoded; it has nothing"):
        records(root, tmp_path)
    write(root / "train", [b"\xff\xff"])
    with pytest.raises(DataError, match=r"train record 0: is no tf\.train\.Example"):
        records(root, tmp_path)
    write(root / "train", [example(encode(pixels), 0)], tf.io.TFRecordOptions("GZIP"))
    with pytest.raises(DataError, match=r"train: is compressed\. Write the shard again, without"):
        records(root, tmp_path)
    (root / "train").rename(root / "part")
    with pytest.raises(DataError, match=r"the names of 'part' do not tell their split"):
        records(root / "*", tmp_path)
