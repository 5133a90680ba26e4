import os

import numpy as np
import pytest

from tests.helpers.data import PLAIN
from tests.helpers.pictures import make_classes
from tlcli.data import index, walk
from tlcli.options.data import csv, folder


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch):
    monkeypatch.setattr(index, "STAT_ALL", 3)
    monkeypatch.setattr(index, "_SAMPLE", 2)


@pytest.fixture
def root(tmp_path):
    """Pictures that were made a while ago, one unreadable and two the same."""
    path = make_classes(tmp_path / "pictures", {"cat": 4, "dog": 6})
    (path / "cat" / "bad.png").write_bytes(b"bad")
    (path / "dog" / "twin.png").write_bytes((path / "cat" / "0.png").read_bytes())
    (path / "list.csv").write_text(
        "path,label\n" + "".join(f"{c}/{n}.png,{c}\n" for c in ("cat", "dog") for n in range(4))
    )
    return age(path)


def age(path):
    for at, folders, files in os.walk(path):
        for name in [*folders, *files, "."]:
            os.utime(os.path.join(at, name), ns=(10**18, 10**18))
    return path


def folder_data(root, cache, seed=0):
    return folder.Data(
        path=str(root),
        validation_fraction=0.25,
        test_fraction=0.0,
        on_error="skip",
        damaged="skip",
        max_pixels=10**6,
        **PLAIN,
    ).manifest(seed, cache)


def csv_data(root, cache, **changes):
    fields = {"path": str(root / "list.csv"), "image_root": None, "label_separator": "|",
              "multi_label": None, "validation_fraction": 0.25, "test_fraction": 0.0,
              "on_error": "skip", "damaged": "skip", "max_pixels": 10**6}  # fmt: skip
    return csv.Data(**(PLAIN | fields | changes)).manifest(0, cache)


def told(manifest):
    """The report, but for what a start trusted."""
    notes = [note for note in manifest.report["notes"] if not note.startswith("trusted: ")]
    return {**manifest.report, "notes": notes}


def same(one, other):
    assert one.fingerprint == other.fingerprint
    assert told(one) == told(other)
    assert one.class_names == other.class_names
    for name in ("ids", "labels", "splits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert type(getattr(one, name)) is type(getattr(other, name))
    assert (one.labels.dtype, one.splits.dtype) == (other.labels.dtype, other.splits.dtype)
    for row in (0, len(one.ids) - 1):
        np.testing.assert_array_equal(one.images.image(row), other.images.image(row))


@pytest.mark.parametrize("data", [folder_data, csv_data])
def test_a_second_start_asks_no_file_and_finds_the_same(root, tmp_path, monkeypatch, data):
    first = data(root, tmp_path / "cache")
    monkeypatch.setattr(walk, "walk", None)
    monkeypatch.setattr(csv, "stat_files", None)
    same(first, data(root, tmp_path / "cache"))


def test_seed_and_shares_are_not_part_of_the_list(root, tmp_path, monkeypatch):
    folder_data(root, tmp_path / "cache")
    fresh = folder_data(root, tmp_path / "other", seed=3)
    monkeypatch.setattr(walk, "walk", None)
    same(fresh, folder_data(root, tmp_path / "cache", seed=3))


def added(root):
    (root / "cat" / "new.png").write_bytes((root / "cat" / "1.png").read_bytes())


def removed(root):
    (root / "dog" / "2.png").unlink()


def renamed(root):
    (root / "dog").rename(root / "wolf")


def overwritten(root):
    for path in root.glob("*/*.png"):
        path.write_bytes((root / "dog" / "3.png").read_bytes() + b"more")


@pytest.mark.parametrize("change", [added, removed, renamed, overwritten])
def test_changes_are_noticed(root, tmp_path, change):
    first = folder_data(root, tmp_path / "cache")
    change(root)
    second = folder_data(root, tmp_path / "cache")
    same(second, folder_data(root, tmp_path / "other"))
    assert second.fingerprint != first.fingerprint


def test_another_table_or_reading_is_another_list(root, tmp_path):
    csv_data(root, tmp_path / "cache")
    several = csv_data(root, tmp_path / "cache", multi_label=True)
    same(several, csv_data(root, tmp_path / "other", multi_label=True))
    table = (root / "list.csv").read_text()
    (root / "list.csv").write_text(table.replace("dog/3.png,dog", "dog/3.png,cat"))
    same(csv_data(root, tmp_path / "cache"), csv_data(root, tmp_path / "other"))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut"])
def test_a_broken_index_is_made_again(root, tmp_path, content):
    first = folder_data(root, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("index-*.npz")
    kept.write_bytes(content)
    same(first, folder_data(root, tmp_path / "cache"))


def test_nothing_is_trusted_that_may_have_changed_while_it_was_listed(root, tmp_path):
    (root / "dog" / "late.png").write_bytes((root / "dog" / "1.png").read_bytes())
    folder_data(root, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("index-*"))


def test_letters_of_several_bytes_in_paths(root, tmp_path):
    (root / "cat" / "1.png").rename(root / "cat" / "ärger 猫.png")
    age(root)
    first = folder_data(root, tmp_path / "cache")
    second = folder_data(root, tmp_path / "cache")
    same(first, second)
    row = first.ids.tolist().index("cat/ärger 猫.png")
    last = len(first.ids) - 1
    assert first.images.image(row).shape == first.images.image(last).shape == (8, 8, 3)
