"""Folders as people lay them out: which classes and splits are found, and what is said."""

import unicodedata

import numpy as np
import pytest

from tests.helpers.data import PLAIN
from tlcli.config.split_names import split_of
from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.folder import Data
from tlcli.options.data.npy import Data as Arrays

WORDS = {
    TRAIN: ["train", "training", "Training", "TRAIN", "training_set", "train-images", "seg_train",
            "train2017", "Train Data", "trainset"],
    VALIDATION: ["val", "valid", "validation", "dev", "eval", "Validation_Set", "val2017"],
    TEST: ["test", "testing", "Testing", "test_set", "seg_test", "TestSet"],
}  # fmt: skip


def write(root, *names, count=4):
    """Pictures, all different, in some folders below a root."""
    from PIL import Image

    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for row in range(count):
            rng = np.random.default_rng([row, *name.encode("utf-8", "surrogateescape")])
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{row}.png")
    return root


def read(root, cache):
    options = {"validation_fraction": 0.25, "test_fraction": 0.25, "on_error": "skip"}
    return Data(path=str(root), **options, damaged="skip", max_pixels=10**6, **PLAIN).manifest(
        0, cache
    )


def said(manifest):
    return "; ".join(manifest.report["notes"])


@pytest.mark.parametrize(("split", "word"), [(s, w) for s, words in WORDS.items() for w in words])
def test_names_of_splits(split, word):
    assert split_of(word) == split


@pytest.mark.parametrize("word", ["latest", "cats", "trains", "contest", "devices", "value", ""])
def test_names_of_no_split(word):
    assert split_of(word) is None


@pytest.mark.parametrize("seed", range(6))
def test_splits_by_any_of_their_names_never_become_classes(tmp_path, seed):
    rng = np.random.default_rng(seed)
    above = ["", "dataset/", "archive/data/"][seed % 3]
    chosen = {split: str(rng.choice(words)) for split, words in WORDS.items()}
    for word in chosen.values():
        write(tmp_path / "root", f"{above}{word}/cats", f"{above}{word}/dogs")
    manifest = read(tmp_path / "root", tmp_path / "cache")
    assert manifest.class_names == ("cats", "dogs")
    for name, split in zip(manifest.ids, manifest.splits, strict=True):
        assert f"/{chosen[split]}/" in f"/{name}"


def test_a_single_folder_above_the_classes_is_taken_and_said(tmp_path):
    root = write(tmp_path / "zip", "dataset/cats", "dataset/dogs")
    (root / "__MACOSX").mkdir()
    manifest = read(root, tmp_path / "cache")
    assert manifest.class_names == ("cats", "dogs")
    assert f"data.path={root}/dataset" in said(manifest)


def test_a_folder_between_splits_and_classes(tmp_path):
    root = write(tmp_path / "r", "train/images/a", "train/images/b", "test/images/a")
    assert read(root, tmp_path / "cache").class_names == ("a", "b")


def test_deeper_folders_are_merged_and_it_is_said_how_to_part_them(tmp_path):
    root = write(tmp_path / "r", "animal/cat", "animal/dog", "vehicle/ship", "vehicle/truck")
    manifest = read(root, tmp_path / "cache")
    assert manifest.class_names == ("animal", "vehicle")
    assert "animal/cat, animal/dog, vehicle/ship, vehicle/truck" in said(manifest)
    assert "to tell these 4 apart, move them up" in said(manifest)


def test_empty_and_unreadable_classes_are_named(tmp_path):
    root = write(tmp_path / "r", "cat", "dog")
    (root / "horse").mkdir()
    (root / "horse" / ".DS_Store").touch()
    with pytest.raises(DataError, match="'horse' is empty"):
        read(root, tmp_path / "cache")
    (root / "horse" / "0.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"class 'horse' can be read: horse/0\.jpg \(is a text"):
        read(root, tmp_path / "cache")


def test_splits_below_classes_and_beside_classes_are_told(tmp_path):
    root = write(tmp_path / "below", "cat/train", "cat/test", "dog/train", "dog/test")
    with pytest.raises(DataError, match="splits 'test', 'train' below the classes"):
        read(root, tmp_path / "cache")
    root = write(tmp_path / "beside", "cat", "dog", "test/cat", "test/dog")
    with pytest.raises(DataError, match="'cat', 'dog' beside 'test' and in it"):
        read(root, tmp_path / "cache")


def test_two_unicode_forms_are_one_class(tmp_path):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    root = write(tmp_path / "r", f"train/{forms[0]}", "train/tea", f"test/{forms[1]}", "test/tea")
    manifest = read(root, tmp_path / "cache")
    assert manifest.class_names == (forms[0], "tea")
    assert "two Unicode forms" in said(manifest)


def test_a_class_whose_name_is_no_utf8_is_not_lost(tmp_path):
    root = write(tmp_path / "r", "a", "b", "caf\udce9")
    with pytest.raises(DataError, match=r"the folder 'caf\\xe9', whose name is not UTF-8"):
        read(root, tmp_path / "cache")


def arrays(root, labels, pictures=None, **options):
    root.mkdir()
    pictures = np.zeros((len(labels), 8, 8, 3), np.uint8) + 9 if pictures is None else pictures
    np.save(root / "x_train.npy", pictures)
    np.save(root / "y_train.npy", labels)
    given = {**PLAIN, "value_range": "auto", "class_names": None, **options}
    data = Arrays(path=str(root), validation_fraction=0.0, test_fraction=0.0, **given)
    return data.manifest(0, root)


@pytest.mark.parametrize("kind", [np.uint8, bool, np.int32])
def test_masks_of_0_and_1_are_black_and_white(tmp_path, kind):
    pictures = np.arange(4 * 8 * 8).reshape(4, 8, 8) % 3 == 0
    manifest = arrays(tmp_path / "r", [0, 1, 0, 1], pictures.astype(kind))
    assert "0 and 1 alone" in said(manifest)
    image = manifest.images.image(np.int64(1)).numpy()
    np.testing.assert_array_equal(image[..., 0], pictures[1] * 255)


def test_labels_from_1_and_gaps(tmp_path):
    manifest = arrays(tmp_path / "one", [1, 2, 3, 1, 2, 3])
    assert manifest.class_names == ("1", "2", "3")
    assert manifest.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert "begin at 1" in said(manifest)
    with pytest.raises(DataError, match="no image of 1, 2"):
        arrays(tmp_path / "gap", [0, 3, 0, 3])
    with pytest.raises(DataError, match="labels from 0 to 4294967296"):
        arrays(tmp_path / "wide", np.array([0, 2**32, 1, 1]))
    with pytest.raises(ConfigError, match="stands twice"):
        arrays(tmp_path / "twice", [0, 1, 0, 1], class_names=("a", "a"))
