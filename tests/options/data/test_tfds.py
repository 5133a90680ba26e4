"""Data sets of TensorFlow Datasets, built by its own writer and read by its own random access."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from tests.helpers.packed import manifest, rows_of, write_tfds
from tests.helpers.pictures import make_classes
from tests.options.data.test_parquet import check_reads
from tlcli.config.data_path import found as looked
from tlcli.data import tfds_file
from tlcli.errors import ConfigError, DataError

FORMATS = ("array_record", "tfrecord")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Nine pictures of two classes."""
    return rows_of(make_classes(tmp_path_factory.mktemp("made"), {"cat": 5, "dog": 4}))


@pytest.fixture(scope="module")
def built(rows, tmp_path_factory):
    """Folders of a version, by the format of their files."""
    root = tmp_path_factory.mktemp("built")
    parts = {"train": rows[:3] + rows[5:7], "validation": rows[3:8:4], "test": rows[4:9:4]}
    return {form: write_tfds(root / form, parts, ["cat", "dog"], form) for form in FORMATS}


@pytest.mark.parametrize("form", FORMATS)
def test_every_row_of_every_split_is_read(built, rows, tmp_path, form):
    found = manifest("tfds", built[form], tmp_path)
    assert sorted(found.ids) == sorted(name for name, *_ in rows)
    assert [len(found.rows(split)) for split in range(3)] == [5, 2, 2]
    assert found.class_names == ("cat", "dog")
    by_id = {name: (data, label) for name, data, label in rows}
    assert [found.class_names[one] for one in found.labels] == [by_id[i][1] for i in found.ids]
    check_reads(found, [(name, by_id[name][0], "") for name in found.ids])


def test_the_rows_are_those_of_its_own_random_access(built, tmp_path):
    found = manifest("tfds", built["array_record"], tmp_path)
    builder = tfds.builder_from_directory(built["array_record"])
    plain = {"image": tfds.decode.SkipDecoding()}
    for number, split in enumerate(("train", "validation", "test")):
        theirs = builder.as_data_source(split, decoders=plain)
        ours = found.rows(number)
        assert [one["file_name"].decode() for one in theirs] == found.ids[ours].tolist()
        assert [one["label"] for one in theirs] == found.labels[ours].tolist()
        read = found.images.encoded
        assert [one["image"] for one in theirs] == [read(int(row)) for row in ours]


def test_a_folder_of_it_is_known_and_named_by_data_dir_and_version(built, tmp_path):
    root = Path(built["array_record"]).parent.parent
    for place in (built["array_record"], root / "shapes"):
        assert looked(str(place)).option == "tfds"
    newer = root / "shapes" / "1.10.0"
    shutil.copytree(built["array_record"], newer)
    try:
        for given, version in (("shapes", newer), ("shapes:1.0.0", built["array_record"])):
            found = manifest("tfds", given, tmp_path, data_dir=str(root))
            assert found.images is not None
            assert len(found.ids) == 9, version
        with pytest.raises(ConfigError, match=r"no version 2\.0\.0\. Give one of 1\.0\.0, 1\.10"):
            manifest("tfds", "shapes:2.0.0", tmp_path, data_dir=str(root))
    finally:
        shutil.rmtree(newer)
    with pytest.raises(ConfigError, match=r"^data\.path: there is no folder forms, and no data"):
        manifest("tfds", "forms", tmp_path, data_dir=str(root))


def test_one_split_is_carved_and_names_that_are_not_there_are_told(built, tmp_path):
    found = manifest("tfds", built["tfrecord"], tmp_path, split="train", validation_fraction=0.4)
    assert [len(found.rows(split)) for split in range(3)] == [3, 2, 0]
    for changes, told in (
        (
            {"split": "dev"},
            r"^data\.split: .* has no split 'dev'\. Give one of train, va",
        ),
        ({"image_column": "photo"}, r"^data\.image_column: .* has no such column 'photo'; it has"),
        ({"label_column": "image"}, r"^data\.label_column: .* has Image there"),
    ):
        with pytest.raises(ConfigError, match=told):
            manifest("tfds", built["tfrecord"], tmp_path, **changes)


def test_several_labels_and_texts(rows, tmp_path):
    pairs = [(name, data, ["cat"] if label == "cat" else ["cat", "dog"])
             for name, data, label in rows]  # fmt: skip
    kind = tfds.features.Sequence(tfds.features.ClassLabel(names=["cat", "dog"]))
    place = write_tfds(tmp_path / "several", {"train": pairs}, [], kind=kind)
    found = manifest("tfds", place, tmp_path)
    assert found.multi_label
    assert found.labels.sum(0).tolist() == [9, 4]
    texts = write_tfds(tmp_path / "texts", {"train": rows}, [], kind=tfds.features.Text())
    found = manifest("tfds", texts, tmp_path)
    assert [found.class_names[one] for one in found.labels] == [label for *_, label in rows]


def damaged(built, tmp_path, form, change):
    folder = tmp_path / "1.0.0"
    shutil.copytree(built[form], folder)
    path = next(folder.glob("*-train*"))
    data = bytearray(path.read_bytes())
    path.write_bytes(change(data))
    return folder, path.name


def flipped(data):
    # Within the first picture.
    data[data.find(b"PNG") + 60] ^= 255
    return data


@pytest.mark.parametrize(
    ("form", "change", "told"),
    [("array_record", lambda data: data[: len(data) // 2], "is no whole array_record file"),
     ("array_record", lambda data: b"nonsense" * 20_000, "is no whole array_record file"),
     ("array_record", flipped, "is damaged behind record 0"),
     ("tfrecord", lambda data: data[:-30], r"damaged|ends within a record")],
    ids=["cut", "other", "flipped", "cut tfrecord"],
)  # fmt: skip
def test_damage_is_told_with_the_file(built, tmp_path, form, change, told):
    folder, name = damaged(built, tmp_path, form, change)
    with pytest.raises(DataError, match=told) as error:
        manifest("tfds", folder, tmp_path / "cache")
    assert name in str(error.value)


def test_other_counts_and_a_missing_file_are_told(built, tmp_path):
    folder = tmp_path / "1.0.0"
    shutil.copytree(built["array_record"], folder)
    about = json.loads((folder / "dataset_info.json").read_text())
    about["splits"][0]["shardLengths"][0] = "40"
    (folder / "dataset_info.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"rows, and dataset_info\.json tells of 40\. Build"):
        manifest("tfds", folder, tmp_path / "cache")
    for path in folder.glob("*-train*"):
        path.unlink()
    with pytest.raises(DataError, match="train"):
        manifest("tfds", folder, tmp_path / "cache")
    for wrong in ("[]", "{}", '{"featuresDict": {"features": {"image": 3}}}', "[" * 100_000):
        (folder / "features.json").write_text(wrong)
        with pytest.raises(DataError, match=r"features\.json|1\.0\.0: has no column"):
            manifest("tfds", folder, tmp_path / "cache")
    (folder / "dataset_info.json").write_text('{"splits": 3}')
    with pytest.raises(DataError, match=r"dataset_info\.json.*tells no files of splits"):
        manifest("tfds", folder, tmp_path / "cache")


def test_without_its_reader_the_way_to_get_it_is_told(built, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(ConfigError, match=r"pip install 'tlcli\[tfds\]'"):
        manifest("tfds", built["array_record"], tmp_path)
    assert importlib.import_module("tlcli.data.tfds_file") is tfds_file
    assert len(manifest("tfds", built["tfrecord"], tmp_path).ids) == 9


def test_few_files_are_open_at_a_time(built, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_file, "MOST_OPEN", 1)
    found = manifest("tfds", built["array_record"], tmp_path)
    by_id = {name: data for name, data, _ in rows}
    check_reads(found, [(name, by_id[name], "") for name in found.ids])
