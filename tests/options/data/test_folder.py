import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.data import PLAIN
from tests.helpers.pictures import encode, make_classes, smooth
from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.folder import Data


def folder(path, tmp_path, seed=0, **changes):
    fields = {
        "path": str(path),
        "validation_fraction": 0.25,
        "test_fraction": 0.25,
        "on_error": "skip",
        "damaged": "skip",
        "max_pixels": 1_000_000,
    }
    return Data(**(PLAIN | fields | changes)).manifest(seed, tmp_path / "cache")


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    return path


def state(path):
    return sorted(
        (os.path.join(at, name), os.stat(os.path.join(at, name)).st_mtime_ns)
        for at, folders, files in os.walk(path)
        for name in [*folders, *files, "."]
    )


def test_class_folders_are_split_by_the_seed(root, tmp_path):
    make_classes(root, {"dog": 8, "cat": 4})
    manifest = folder(root, tmp_path)
    assert manifest.class_names == ("cat", "dog")
    assert manifest.ids.tolist() == [f"cat/{n}.png" for n in range(4)] + [
        f"dog/{n}.png" for n in range(8)
    ]
    assert manifest.labels.tolist() == [0] * 4 + [1] * 8
    assert manifest.labels.dtype == np.int32
    per_class = [
        [int((manifest.splits[manifest.labels == c] == s).sum()) for s in range(3)]
        for c in range(2)
    ]
    assert per_class == [[2, 1, 1], [4, 2, 2]]
    assert folder(root, tmp_path).fingerprint == manifest.fingerprint
    assert manifest.report["sizes"] == "all 8x8"


def test_pictures_belong_to_their_ids(root, tmp_path):
    for row, name in enumerate(["a/csv", "b/y.png", "b/deep/down/z.jpeg"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode(smooth(row), ["PNG", "WEBP", "BMP"][row], lossless=True))
    manifest = folder(root, tmp_path, validation_fraction=0.0, test_fraction=0.0)
    assert manifest.ids.tolist() == ["a/csv", "b/deep/down/z.jpeg", "b/y.png"]
    images = list(tf.data.Dataset.range(3).map(manifest.images.image))
    for image, seed in zip(images, [0, 2, 1], strict=True):
        np.testing.assert_array_equal(image, smooth(seed))


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "Val"])
def test_split_folders_are_taken_as_they_are(root, tmp_path, validation):
    for split in ("train", validation, "test"):
        make_classes(root / split, {"a": 2, "b": 2})
    manifest = folder(root, tmp_path)
    names = {TRAIN: "train", VALIDATION: validation, TEST: "test"}
    assert [name.split("/")[0] for name in manifest.ids] == [names[s] for s in manifest.splits]
    assert manifest.class_names == ("a", "b")


def test_validation_is_carved_from_train_when_test_is_given(root, tmp_path):
    make_classes(root / "train", {"a": 8, "b": 8})
    make_classes(root / "test", {"a": 3, "b": 3})
    manifest = folder(root, tmp_path)
    assert [len(manifest.rows(s)) for s in range(3)] == [12, 4, 6]
    assert all(name.startswith("test/") for name in manifest.ids[manifest.rows(TEST)])
    assert "validation: 4 images taken from train by the seed" in manifest.report["notes"]


def test_test_stays_empty_when_only_validation_is_given(root, tmp_path):
    make_classes(root / "train", {"a": 8, "b": 8})
    make_classes(root / "val", {"a": 3, "b": 3})
    manifest = folder(root, tmp_path)
    assert [len(manifest.rows(s)) for s in range(3)] == [16, 6, 0]
    assert any("test stays empty" in note for note in manifest.report["notes"])


def test_a_class_that_test_lacks_is_no_error(root, tmp_path):
    make_classes(root / "train", {"a": 8, "b": 8, "c": 8})
    make_classes(root / "test", {"a": 3, "c": 3})
    manifest = folder(root, tmp_path)
    assert manifest.class_names == ("a", "b", "c")
    assert set(manifest.labels[manifest.rows(TEST)]) == {0, 2}


def test_a_class_only_in_test_names_both_sides(root, tmp_path):
    make_classes(root / "train", {"cat": 4, "dog": 4})
    make_classes(root / "test", {"cat": 2, "Dog": 2})
    with pytest.raises(DataError, match=r"train has 'cat', 'dog', but test has 'Dog'\. Give"):
        folder(root, tmp_path)


def test_unreadable_files_are_skipped_with_their_reason(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4}, "JPEG", "png")
    pixels = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
    photo = encode(pixels, "JPEG")
    (root / "a" / "cut.jpg").write_bytes(photo[: len(photo) // 2])
    (root / "a" / "empty.jpg").write_bytes(b"")
    (root / "b" / "text.jpg").write_text("no picture")
    (root / "b" / "large.jpg").write_bytes(photo)
    (root / "b" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    manifest = folder(root, tmp_path, max_pixels=4000)
    skipped = dict(manifest.report["skipped"])
    assert sorted(skipped) == [
        "a/cut.jpg",
        "a/empty.jpg",
        "b/gone.jpg",
        "b/large.jpg",
        "b/text.jpg",
    ]
    assert skipped["a/cut.jpg"].startswith("has 64x64") or "decoded" in skipped["a/cut.jpg"]
    assert skipped["a/empty.jpg"] == "the file is empty"
    assert "is a text" in skipped["b/text.jpg"]
    assert "there is no such file" in skipped["b/gone.jpg"]
    assert skipped["b/large.jpg"] == "has 64x64 pixels, more than the limit of 4,000"
    assert len(manifest.ids) == 8
    assert not any(name in skipped for name in manifest.ids)
    assert "b/large.jpg" in folder(root, tmp_path).ids.tolist()
    with pytest.raises(DataError, match=r"a/cut\.jpg: .*\(5 such files\)\. .*on_error=skip"):
        folder(root, tmp_path, on_error="fail", max_pixels=4000)


def test_hidden_files_and_files_that_are_no_pictures_are_left_out(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4, ".hidden": 2})
    (root / "a" / "labels.csv").write_text("x")
    (root / "a" / "._0.png").write_bytes(b"x")
    (root / "readme").write_text("x")
    manifest = folder(root, tmp_path, on_error="fail")
    assert len(manifest.ids) == 8
    notes = manifest.report["notes"]
    assert "1 file left out: not pictures by their extension (a/labels.csv)" in notes
    assert "1 file left out: outside class folders (readme)" in notes
    assert "2 files left out: hidden, or put there by the system (.hidden, a/._0.png)" in notes


def test_equal_files_in_different_splits_and_classes_are_reported(root, tmp_path):
    make_classes(root / "train", {"a": 4, "b": 4})
    make_classes(root / "test", {"c": 0})
    shutil.copytree(root / "train" / "b", root / "test" / "b")
    for name in ("1.png", "2.png", "3.png"):
        (root / "test" / "b" / name).unlink()
    shutil.copy(root / "train" / "a" / "1.png", root / "train" / "b" / "9.png")
    manifest = folder(root, tmp_path, validation_fraction=0.0)
    assert manifest.report["duplicates"] == [("test/b/0.png", "train/b/0.png")]
    notes = [note for note in manifest.report["notes"] if "different labels" in note]
    assert notes == ["1 pictures stand under different labels, as train/a/1.png = train/b/9.png"]


def test_the_users_folder_is_only_read(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4})
    (root / "a" / "bad.png").write_bytes(b"bad")
    before = state(root)
    manifest = folder(root, tmp_path)
    list(tf.data.Dataset.range(8).map(manifest.images.image))
    folder(root, tmp_path)
    assert state(root) == before


def test_the_cache_notices_what_changed(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4})
    (root / "b" / "x.png").write_bytes(b"bad")
    first = folder(root, tmp_path)
    (root / "a" / "0.png").write_bytes(b"")
    (root / "b" / "x.png").write_bytes(encode(smooth(5, 16, 16)))
    (root / "a" / "new.png").write_bytes(encode(smooth(6, 16, 16)))
    second = folder(root, tmp_path)
    fresh = folder(root, tmp_path / "other")
    assert dict(second.report["skipped"]) == {"a/0.png": "the file is empty"}
    assert second.fingerprint == fresh.fingerprint != first.fingerprint
    assert second.report == fresh.report


def test_an_unchanged_folder_is_not_opened_again(root, tmp_path, monkeypatch):
    make_classes(root, {"a": 4, "b": 4})
    first = folder(root, tmp_path)
    opened = []
    monkeypatch.setattr("tlcli.data.scan.read_header", lambda *given: opened.append(given))
    second = folder(root, tmp_path)
    assert opened == []
    assert second.fingerprint == first.fingerprint


def test_a_broken_cache_is_made_again(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4})
    first = folder(root, tmp_path)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert folder(root, tmp_path).fingerprint == first.fingerprint


def test_a_copy_of_the_data_has_the_same_fingerprint(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4})
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    first, second = folder(root, tmp_path), folder(tmp_path / "copy", tmp_path)
    assert first.fingerprint == second.fingerprint
    assert folder(root, tmp_path, test_fraction=0.0).fingerprint != first.fingerprint


def test_links_to_folders_are_followed_once(root, tmp_path):
    make_classes(tmp_path / "elsewhere", {"a": 4, "b": 4})
    for name in ("a", "b"):
        (root / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "a" / "loop").symlink_to(root)
    assert len(folder(root, tmp_path).ids) == 8


def test_the_home_folder_is_understood(root, tmp_path, monkeypatch):
    make_classes(root, {"a": 4, "b": 4})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(folder("~/pictures", tmp_path).ids) == 8


def test_mistakes_are_told_with_a_remedy(root, tmp_path, pixels):
    with pytest.raises(ConfigError, match=r"^data\.path: .*nowhere: there is no such folder\. "):
        folder(tmp_path / "nowhere", tmp_path)
    with pytest.raises(DataError, match=r"has no classes with images\. Expected PATH/CLASS/IMAGE"):
        folder(root, tmp_path)
    (root / "a.png").write_bytes(encode(pixels))
    with pytest.raises(DataError, match=r"has 1 images but no class folders\. Expected PATH/CLA"):
        folder(root, tmp_path)
    make_classes(root, {"a": 4})
    with pytest.raises(DataError, match=r"has only the class 'a'\. Give images of 2 or more"):
        folder(root, tmp_path)
    make_classes(root, {"b": 2})
    with pytest.raises(
        DataError,
        match=r"class 'b' has 2 images to train on, too few for 3 splits\. Give it 3 or more, "
        r"or set data\.validation_fraction=0 and data\.test_fraction=0\.",
    ):
        folder(root, tmp_path)
    with pytest.raises(ConfigError, match=r"^data\.max_pixels: got 0"):
        folder(root, tmp_path, max_pixels=0)


def test_a_class_whose_files_are_all_unreadable_is_named(root, tmp_path):
    make_classes(root, {"a": 4, "b": 4, "c": 0})
    (root / "c" / "x.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"none of the 1 pictures of the class .c. can"):
        folder(root, tmp_path)


def test_folders_for_splits_need_train(root, tmp_path):
    make_classes(root / "test", {"a": 4, "b": 4})
    with pytest.raises(DataError, match=r"has 'test' but no 'train'\. Expected"):
        folder(root, tmp_path)
    make_classes(root / "train", {"a": 4, "b": 4})
    make_classes(root / "val", {"a": 4, "b": 4})
    make_classes(root / "valid", {"a": 4, "b": 4})
    with pytest.raises(DataError, match=r"has 'val', 'valid', all for validation"):
        folder(root, tmp_path)
