"""`data=PATH`: every kind of data is told apart; what is wrong or has two meanings is explained."""

import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.config.test_looking import pictures
from tlcli.config.data_path import found
from tlcli.errors import ConfigError, DataError

TABLE = "path,label\nimages/0.jpg,cat\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def classes(folder, *names):
    for name in names:
        pictures(Path(folder) / name)


def written(path, text=""):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


CONTENTS = {".csv": TABLE, ".jsonl": '{"path": "0.jpg", "label": "cat"}\n'}
CLASSES = ("cats/0.jpg", "cats/1.jpg", "dogs/0.jpg")
LAYOUTS = {
    "classes": CLASSES,
    "splits": [f"{split}/{name}" for split in ("train", "test") for name in CLASSES],
    "a split": [f"train/{name}" for name in CLASSES],
    "other splits": [f"{split}/{name}" for split in ("seg_train/seg_train", "Testing")
                     for name in CLASSES],
    "classes of folders": ["cats/tabby/0.jpg", "cats/siamese/0.jpg", "dogs/poodle/0.jpg"],
    "nested": [*(f"set/inner/{name}" for name in CLASSES), "set/README.md", "__MACOSX/a/0.jpg"],
    "loose ones beside": [*CLASSES, "0.jpg"],
    "table": ["images/0.jpg", "labels.csv"],
    "table beside": ["0.jpg", "1.jpg", "labels.jsonl"],
    "arrays": ["train_data.npy", "train_labels.npy"],
    "npz": ["all.npz"],
    "prepared": ["prepared.json", "train-00000-of-00001.tfrecord", "train-00000-of-00001.npz"],
    "shards": ["train-00000-of-00002", "train-00001-of-00002", "labels.txt"],
    "unnamed shards": ["birds-00000-of-00002.tfrecord", "birds-00001-of-00002.tfrecord"],
    "parquet": ["train-00000-of-00001.parquet", "test.parquet", "README.md"],
    "parquet in splits": ["train/0.parquet", "test/0.parquet"],
    "parquet below": ["data/train-0.parquet", "README.md"],
    "parquet and classes": [*CLASSES, "train.parquet"],
    "hugging face": ["dataset_dict.json", "train/data-00000-of-00001.arrow", "train/state.json",
                     "train/dataset_info.json"],
    "tensorflow datasets": ["set/1.0.0/features.json", "set/1.0.0/dataset_info.json",
                            "set/1.0.0/set-train.tfrecord-00000-of-00001"],
    "hugging face split": ["data-00000-of-00001.arrow", "state.json", "dataset_info.json"],
    "photos": ["0.jpg", "1.PNG"],
    "photos in one folder": ["all/0.jpg"],
    "photos in splits": ["train/0.jpg", "test/0.jpg"],
    "table and classes": [*CLASSES, "labels.csv"],
    "two tables": ["a.csv", "b.csv"],
    "two arrays": ["a.npz", "b.npz"],
    "arrays and classes": [*CLASSES, "x_train.npy"],
    "shards and a table": ["train.tfrecord", "l.csv"],
    "two kinds below": ["x/x_train.npy", "y/train.tfrecord"],
    "two data sets": [f"{name}/{one}" for name in "ab" for one in CLASSES],
    "loose and sorted": ["0.jpg", *(f"sorted/{name}" for name in CLASSES)],
}  # fmt: skip


def make(kind):
    for name in LAYOUTS[kind]:
        written(f"d/{name}", CONTENTS.get(Path(name).suffix, ""))


@pytest.mark.parametrize(
    ("kind", "option", "path", "what"),
    [
        ("classes", "folder", "d", "2 class folders, cats, dogs"),
        ("splits", "folder", "d", "2 class folders, cats, dogs in test, train"),
        ("a split", "folder", "d", "2 class folders, cats, dogs in train"),
        ("other splits", "folder", "d", "2 class folders, cats, dogs in Testing, seg_train"),
        ("classes of folders", "folder", "d", "2 class folders, cats, dogs"),
        ("nested", "folder", "d/set/inner", "2 class folders, cats, dogs"),
        ("loose ones beside", "folder", "d", "2 class folders, cats, dogs; 1 picture beside them "
         "left out"),
        ("table", "csv", "d/labels.csv", "the table labels.csv"),
        ("table beside", "csv", "d/labels.jsonl", "the table labels.jsonl"),
        ("arrays", "npy", "d", "arrays"),
        ("npz", "npy", "d/all.npz", "arrays in all.npz"),
        ("prepared", "tfrecord", "d", "shards of tl prepare"),
        ("shards", "tfrecord", "d", "2 TFRecord shards"),
        ("unnamed shards", "tfrecord", "d/birds-0000*", "2 TFRecord shards"),
        ("parquet", "parquet", "d", "2 Parquet files"),
        ("parquet in splits", "parquet", "d", "2 Parquet files"),
        ("parquet below", "parquet", "d/data", "1 Parquet file"),
        ("hugging face", "hf", "d", "a data set of Hugging Face"),
        ("tensorflow datasets", "tfds", "d/set/1.0.0", "a data set of TensorFlow Datasets"),
        ("hugging face split", "hf", "d", "a data set of Hugging Face"),
        ("photos", "photos", "d", "photos without labels"),
        ("photos in one folder", "photos", "d", "photos without labels, all in all"),
        ("photos in splits", "photos", "d", "photos without labels, all in test, train"),
    ],
)  # fmt: skip
def test_folders_are_told_apart_by_what_they_hold(kind, option, path, what):
    make(kind)
    for given in ("d", "d/", "./d", str(Path("d").resolve())):
        one = found(given)
        start = os.path.normpath(given)
        assert (one.option, one.path) == (option, path.replace("d", start, 1))
        assert one.what == what
    assert found("d").line() == f"found      {path}: {what} ({found('d').words})"


@pytest.mark.parametrize(
    ("name", "content", "option"),
    [("a.csv", TABLE, "csv"), ("a.CSV", "image;class\n", "csv"), ("a.jsonl", "{}", "csv"),
     ("a.txt", TABLE, "csv"), ("a.npz", "PK\x03\x04", "npy"), ("a.tfrecord", "", "tfrecord"),
     ("x-00000-of-00001", "", "tfrecord"), ("a.parquet", "PAR1", "parquet")],
)  # fmt: skip
def test_files_are_told_apart(name, content, option):
    written(name, content)
    assert (found(name).option, found(name).path) == (option, name)


def test_patterns_and_names_that_look_like_one():
    written("d/a-00000-of-00001.tfrecord")
    assert found("d/*.tfrecord").path == "d/*.tfrecord"
    classes("[a]*", "x", "y")
    assert found("[a]*").option == "folder"
    written("[b].tfrecord")
    assert found("[b].tfrecord").path == "[[]b].tfrecord"


def test_tar_files_are_shards_where_labels_lie_beside_pictures(tmp_path):
    def packed(path, *names):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name))

    packed("d/train-000.tar", "a/0.jpg", "a/0.cls", "a/1.jpg", "a/1.cls")
    packed("d/train-001.tar", "a/2.jpg", "a/2.cls")
    assert (found("d").option, found("d").what) == ("webdataset", "2 tar shards")
    assert found("d/train-000.tar").option == "webdataset"
    for pattern in ("d/*.tar", "d/train-{000..001}.tar"):
        assert (found(pattern).option, found(pattern).path) == ("webdataset", pattern)
    packed("e/train/0.tar", "0.png", "0.json")
    packed("e/val/0.tar", "0.json", "0.png")
    assert found("e").what == "2 tar shards"
    packed("f/photos.tar", "cats/0.jpg", "dogs/0.jpg")
    for given in ("f", "f/photos.tar"):
        with pytest.raises(ConfigError, match="Unpack it"):
            found(given)


def test_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    classes("photos", "x", "y")
    assert found("~/photos").path == str(tmp_path / "photos")


def test_dots_that_lead_through_a_link(tmp_path):
    classes("there/inner", "x", "y")
    Path("link").symlink_to("there/inner")
    assert found("link/../inner").option == "folder"


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("table and classes", ["data=csv data.path=d/labels.csv", "data=folder data.path=d"]),
        ("two tables", ["data=csv data.path=d/a.csv", "data=csv data.path=d/b.csv"]),
        ("parquet and classes", ["data=parquet data.path=d", "data=folder data.path=d"]),
        ("two arrays", ["data=npy data.path=d/a.npz", "data=npy data.path=d/b.npz"]),
        ("arrays and classes", ["data=npy data.path=d", "data=folder data.path=d"]),
        ("shards and a table", ["data=tfrecord data.path=d", "data=csv data.path=d/l.csv"]),
        ("two kinds below", ["data=npy data.path=d/x", "data=tfrecord data.path=d/y"]),
        (
            "two data sets",
            ["data=folder data.path=d/a", "data=folder data.path=d/b", "data=folder data.path=d"],
        ),
        ("loose and sorted", ["data=folder data.path=d/sorted", "data=photos data.path=d"]),
    ],
)
def test_what_has_two_meanings_is_refused_with_the_words_for_each(kind, ways):
    make(kind)
    count = len(ways)
    with pytest.raises(ConfigError, match=rf"^data: d can be read in {count} ways: ") as error:
        found("d")
    assert all(f"({way})" in str(error.value) for way in ways)
    for way in ways:
        option, path = (word.partition("=")[2] for word in way.split())
        # What is told to type is what the option reads.
        assert Path(path).exists(), option


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "phtos",
            r"data: there is no file or folder 'phtos'\. Did you mean photos( or photos.zip)?\?$",
        ),
        ("photos/cat", r"Did you mean photos/cats\?$"),
        ("PHOTOS", r"Did you mean photos( or photos.zip)?\?$"),
        ("nowhere/x/y", r"'nowhere/x/y'\. Here are data.bin, "),
        ("", "data: no value"),
        ("a\0b", r"data: got 'a\\x00b'"),
        ("~nobody-at-all/x", "Give a path that can exist|there is no file"),
        ("pack.zip", r"pack.zip is an archive\. Unpack it \(unzip pack.zip -d pack\)"),
        ("pack.tar.gz", r"Unpack it \(mkdir pack; tar -xf pack.tar.gz -C pack\)"),
        ("data.bin", r"data.bin is an archive"),
        ("packed", r"packed: holds set.zip, packed\. Unpack it"),
        ("photos.zip", r"The folder photos is beside it: give that\."),
        ("pipe", "data: pipe is a pipe, no data"),
        ("photos/cats/0.jpg", r"is one picture\. tl predict photos/cats/0.jpg names it by a run"),
        ("mine.yaml", r"is a recipe\. Type config=mine.yaml\."),
        ("one.npy", "is a single array"),
        ("notes.pdf", "nothing that tl reads as data"),
        ("hollow", "hollow: is empty"),
        ("texts", r"texts: holds no data: 1 other file \(a.txt\) and 1 folder without any \(b\)"),
        ("run", r"run is a run, no data\. Type tl train extend=run"),
        ("dig its", r"Did you mean digits\?"),
    ],
)
def test_what_is_no_data_is_told_with_what_to_type(given, said):
    classes("photos", "cats", "dogs")
    with zipfile.ZipFile("pack.zip", "w") as file:
        file.writestr("a", "b")
    os.makedirs("packed")
    for name in ("packed/set.zip", "photos.zip", "data.bin"):
        Path(name).write_bytes(Path("pack.zip").read_bytes())
    for name in ("pack.tar.gz", "mine.yaml", "one.npy"):
        written(name, "x")
    written("notes.pdf", "%PDF")
    os.mkfifo("pipe")
    os.makedirs("hollow")
    os.makedirs("texts/b")
    written("texts/a.txt")
    written("run/config.json", "{}")
    written("run/metadata.json", "{}")
    with pytest.raises(ConfigError) as error:
        found(given, ["digits", "folder", "csv"])
    assert re.search(said, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_read(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(DataError, match="cannot be read"):
        found("locked")


def test_names_from_outside_are_shown_without_harm():
    classes("d", "\x1b[31mcats", "dogs")
    assert "\x1b" not in found("d").line()
