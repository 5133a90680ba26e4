"""Parquet files of pictures: columns, labels, splits; every row read as it was written."""

import io
import json
import threading

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image
from pyarrow import parquet

from tests.helpers.packed import features, manifest, rows_of, table, write_parquet
from tests.helpers.pictures import encode, make_classes, smooth
from tlcli.data import parquet as reader
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Nine pictures of two classes."""
    return rows_of(make_classes(tmp_path_factory.mktemp("made"), {"cat": 5, "dog": 4}))


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def check_reads(found, rows):
    """Each row at random access, decoded by another decoder than ours."""
    order = np.random.default_rng(0).permutation(len(rows))
    images = tf.data.Dataset.from_tensor_slices(order).map(found.images.image, 2)
    for row, image in zip(order, images, strict=True):
        np.testing.assert_array_equal(image, pixels_of(rows[row][1]))


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_every_row_is_read_whatever_the_writer_did(tmp_path, rows, compression, dictionary):
    path = tmp_path / "set" / "train.parquet"
    write_parquet(
        path, rows, ["cat", "dog"], compression=compression, use_dictionary=dictionary,
        row_group_size=4,
    )  # fmt: skip
    found = manifest("parquet", path.parent, tmp_path / "cache")
    assert found.ids.tolist() == [name for name, *_ in rows]
    assert found.labels.tolist() == [0] * 5 + [1] * 4
    assert found.class_names == ("cat", "dog")
    check_reads(found, rows)
    offsets = reader_offsets(path)
    assert all(at >= 0 for at in offsets) == (compression == "none")
    whole = path.read_bytes()
    for at, (_, data, _) in zip(offsets, rows, strict=True):
        assert at < 0 or whole[at : at + len(data)] == data


def reader_offsets(path):
    return [row.offset for row in reader.rows(None, None, path)]


def test_the_same_pictures_twice_and_very_small_pages(tmp_path, rows):
    path = tmp_path / "train.parquet"
    twice = [(f"{n}-{name}", data, label) for n in range(3) for name, data, label in rows]
    write_parquet(path, twice, compression="none", data_page_size=100, write_batch_size=2)
    check_reads(manifest("parquet", path, tmp_path / "cache"), twice)


def test_splits_are_told_by_files_and_by_folders(tmp_path, rows):
    named = tmp_path / "named"
    for name, some in (("train-00000-of-00002", rows[:4]), ("train-00001-of-00002", rows[4:7]),
                       ("validation", rows[7:8]), ("test-0", rows[8:])):  # fmt: skip
        write_parquet(named / f"{name}.parquet", some, ["cat", "dog"])
    below = tmp_path / "below"
    for split, some in (("train", rows[:7]), ("validation", rows[7:8]), ("test", rows[8:])):
        write_parquet(below / split / "0000.parquet", some, ["cat", "dog"])
    one, other = (manifest("parquet", path, tmp_path / "cache") for path in (named, below))
    assert [len(one.rows(split)) for split in range(3)] == [7, 1, 1]
    assert one.ids.tolist() == other.ids.tolist()
    assert one.splits.tolist() == other.splits.tolist()
    assert one.fingerprint == other.fingerprint


def test_a_folder_of_the_same_pictures_is_the_same_data(tmp_path, rows):
    folder = make_classes(tmp_path / "folder", {"cat": 5, "dog": 4})
    write_parquet(tmp_path / "train.parquet", rows_of(folder), ["cat", "dog"])
    fractions = {"validation_fraction": 0.25, "test_fraction": 0.25}
    one = manifest("folder", folder, tmp_path / "cache", **fractions)
    other = manifest("parquet", tmp_path / "train.parquet", tmp_path / "cache", **fractions)
    assert one.ids.tolist() == other.ids.tolist()
    assert one.splits.tolist() == other.splits.tolist()
    assert one.identity() == other.identity()


def test_labels_are_numbers_texts_or_lists(tmp_path, rows):
    image = pa.array([data for _, data, _ in rows], pa.binary())

    def read(labels, **changes):
        parquet.write_table(pa.table({"image": image, "label": labels}), tmp_path / "train.parquet")
        return manifest("parquet", tmp_path, tmp_path / "cache", **changes)

    found = read(pa.array([row % 3 for row in range(9)], pa.uint8()))
    assert (found.class_names, found.labels.tolist()) == (("0", "1", "2"), [0, 1, 2] * 3)
    assert found.ids[4] == "train.parquet/4"
    texts = pa.array(["b", "a", None] * 3)
    for labels in (texts, texts.dictionary_encode()):
        found = read(labels)
        assert (found.class_names, found.labels.tolist()) == (("a", "b"), [1, 0, -1] * 3)
    found = read(texts, class_names=("b", "a"))
    assert found.labels.tolist() == [0, 1, -1] * 3
    found = read(pa.array([[0, 2], [1], []] * 3))
    assert found.multi_label
    assert found.labels.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]] * 3
    found = read(pa.array([["x", "y"], ["y"], None] * 3))
    assert (found.class_names, found.labels.tolist()) == (
        ("x", "y"), [[1, 1], [0, 1], [0, 0]] * 3)  # fmt: skip
    with pytest.raises(DataError, match=r"picture with 2 labels\. Set data\.multi_label=true"):
        read(pa.array([[0, 2], [1], []] * 3), multi_label=False)
    with pytest.raises(ConfigError, match=r"^data\.class_names: lacks 'b', which are labels"):
        read(texts, class_names=("a", "c"))


def test_names_without_a_picture_are_left_out_and_told(tmp_path, rows):
    write_parquet(tmp_path / "train.parquet", rows, ["ant", "cat", "cow", "dog"])
    found = manifest("parquet", tmp_path, tmp_path / "cache")
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [0] * 5 + [1] * 4
    assert "classes without a picture are left out: 'ant', 'cow'" in found.report["notes"]


def test_columns_can_be_named_and_must_be_where_several_may_be_meant(tmp_path, rows):
    made = table(rows, ["cat", "dog"])
    both = made.append_column("mask", made["image"]).append_column(
        "colour", pa.array([0, 1, 2] * 3)
    )
    parquet.write_table(both.rename_columns(["a", "kind", "mask", "colour"]),
                        tmp_path / "train.parquet")  # fmt: skip
    cache = tmp_path / "cache"
    with pytest.raises(ConfigError, match=r"^data\.image_column: .* has several: a, mask\. Name"):
        manifest("parquet", tmp_path, cache)
    with pytest.raises(ConfigError, match=r"^data\.label_column: .* has several: kind, colour"):
        manifest("parquet", tmp_path, cache, image_column="mask")
    found = manifest("parquet", tmp_path, cache, image_column="mask", label_column="colour")
    assert found.labels.tolist() == [0, 1, 2] * 3
    with pytest.raises(ConfigError, match=r"no such column 'b'; it has a \(struct"):
        manifest("parquet", tmp_path, cache, image_column="b")


def test_a_list_of_named_classes(tmp_path, rows):
    held = json.loads(features(["cat", "dog"])[b"huggingface"])
    label = held["info"]["features"]["label"]
    held["info"]["features"]["label"] = {"feature": label, "_type": "List"}
    made = table([(name, data, [0]) for name, data, _ in rows])
    made = made.set_column(1, "label", pa.array([[0, 1], [1], [0]] * 3))
    metadata = {b"huggingface": json.dumps(held).encode()}
    parquet.write_table(made.replace_schema_metadata(metadata), tmp_path / "train.parquet")
    found = manifest("parquet", tmp_path, tmp_path / "cache")
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [[1, 1], [0, 1], [1, 0]] * 3


def test_unreadable_pictures_are_left_out_with_their_reason(tmp_path, rows):
    some = [*rows[:2], ("x.png", rows[2][1][:-20], "cat"), ("y.png", None, "dog"), *rows[4:]]
    write_parquet(tmp_path / "train.parquet", some)
    found = manifest("parquet", tmp_path, tmp_path / "cache", on_error="skip")
    assert found.report["skipped"] == [
        ("x.png", "cannot be decoded: the PNG is truncated"),
        ("y.png", "holds no bytes of a picture"),
    ]
    check_reads(found, [row for row in some if row[0] not in ("x.png", "y.png")])
    with pytest.raises(DataError, match=r"^x\.png: cannot be decoded.*\(2 such files\)"):
        manifest("parquet", tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: path.write_bytes(b"no parquet at all"), "is no whole Parquet file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is no whole Parquet file"),
        (
            lambda path: parquet.write_table(pa.table({"x": [1.5], "text": ["a"]}), path),
            r"has no column of pictures .*; it has x \(double\), text \(string\)\. Name one: "
            r"data\.image_column=NAME",
        ),
        (
            lambda path: parquet.write_table(pa.table({"image": [b"x"], "x": [1.5]}), path),
            r"has no column of labels",
        ),
    ],
)  # fmt: skip
def test_broken_and_other_files_are_named(tmp_path, rows, content, message):
    path = tmp_path / "train.parquet"
    write_parquet(path, rows)
    content(path)
    with pytest.raises(DataError, match=rf"train\.parquet: {message}"):
        manifest("parquet", tmp_path, tmp_path / "cache")


def test_a_damaged_row_group_is_named(tmp_path, rows):
    path = tmp_path / "train.parquet"
    write_parquet(path, rows, compression="snappy", use_dictionary=False, row_group_size=4)
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT", len(data) // 3) - 60
    data[at : at + 120] = b"\xff" * 120
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"train\.parquet: cannot be read in row group \d|PNG"):
        manifest("parquet", tmp_path, tmp_path / "cache")


def test_a_file_that_was_replaced_is_noticed(tmp_path, rows):
    path = tmp_path / "train.parquet"
    write_parquet(path, rows, compression="snappy")
    found = manifest("parquet", tmp_path, tmp_path / "cache")
    assert found.images.encoded(0) == rows[0][1]
    write_parquet(path, [(n, encode(smooth(99)), label) for n, _, label in rows])
    with pytest.raises(DataError, match=r"is another file than when it was listed"):
        found.images.encoded(1)
    path.unlink()
    with pytest.raises(DataError, match=r"cannot be read: .*train\.parquet is missing"):
        found.images.encoded(1)


def test_files_that_name_their_classes_otherwise_are_refused(tmp_path, rows):
    write_parquet(tmp_path / "train-0.parquet", rows, ["cat", "dog"])
    write_parquet(tmp_path / "train-1.parquet", rows, ["dog", "cat"])
    with pytest.raises(DataError, match=r"train-1\.parquet: names its classes otherwise"):
        manifest("parquet", tmp_path, tmp_path / "cache")


def test_no_files_and_splits_told_by_half_of_them(tmp_path, rows):
    with pytest.raises(ConfigError, match=r"^data\.path: .*none: there is no \.parquet or \.pq"):
        manifest("parquet", tmp_path / "none", tmp_path / "cache")
    for name in ("train", "more"):
        write_parquet(tmp_path / f"{name}.parquet", rows)
    with pytest.raises(DataError, match=r"the names of 'more\.parquet' do not tell their split"):
        manifest("parquet", tmp_path, tmp_path / "cache")


def test_groups_kept_unpacked_are_bounded_and_read_once_by_many_threads(tmp_path, rows):
    path = tmp_path / "train.parquet"
    write_parquet(path, rows, compression="snappy", row_group_size=3)
    groups = reader.Groups(None, None, kept_bytes=1)
    for number in (0, 8, 4, 1):
        assert groups.read(path, number)[0] == rows[number][1]
        assert len(groups._kept) == 1
    wide, unpacked = reader.Groups(None, None), []
    own = wide._unpacked
    wide._unpacked = lambda path, group: unpacked.append(group) or own(path, group)
    threads = [threading.Thread(target=wide.read, args=(path, n % 9)) for n in range(36)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(unpacked) == [0, 1, 2]
    assert wide._used == sum(size for *_, size in wide._kept.values())
