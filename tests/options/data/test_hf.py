"""Data sets of Hugging Face: folders of save_to_disk, and names of the hub in its cache."""

import subprocess
import sys

import datasets
import pytest

from tests.helpers.packed import manifest, rows_of, write_hf, write_parquet
from tests.helpers.pictures import make_classes
from tests.helpers.runs import environment
from tests.options.data.test_parquet import check_reads
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Nine pictures of two classes."""
    return rows_of(make_classes(tmp_path_factory.mktemp("made"), {"cat": 5, "dog": 4}))


@pytest.fixture(scope="module")
def saved(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "set"
    parts = {"train": rows[:4] + rows[5:8], "validation": rows[4:5], "test": rows[8:]}
    write_hf(folder, parts, ["cat", "dog"])
    return folder


def test_every_row_of_every_split_is_read(saved, rows, tmp_path):
    found = manifest("hf", saved, tmp_path)
    order = rows[:4] + rows[5:8] + rows[4:5] + rows[8:]
    # `datasets` keeps the last part of a path alone, and here are two of each.
    assert found.ids[[0, 7, 8]].tolist() == [
        "train/data-00000-of-00001.arrow/0", "validation/data-00000-of-00001.arrow/0",
        "test/data-00000-of-00001.arrow/0"]  # fmt: skip
    assert [len(found.rows(split)) for split in range(3)] == [7, 1, 1]
    assert found.class_names == ("cat", "dog")
    check_reads(found, order)


def test_one_split_is_carved(saved, rows, tmp_path):
    found = manifest("hf", saved, tmp_path, split="train", validation_fraction=0.25)
    assert [len(found.rows(split)) for split in range(3)] == [5, 2, 0]
    with pytest.raises(ConfigError, match=r"^data\.split: .* has no split 'dev'\. Give one of tra"):
        manifest("hf", saved, tmp_path, split="dev")


def test_several_files_and_a_single_split(rows, tmp_path):
    kinds = datasets.Features({"img": datasets.Image(), "name": datasets.Value("string")})
    made = datasets.Dataset.from_dict(
        {"img": [{"bytes": data, "path": None} for _, data, _ in rows],
         "name": [label for *_, label in rows]}, features=kinds)  # fmt: skip
    made.shuffle(seed=0).save_to_disk(str(tmp_path / "set"), num_shards=3)
    order = [rows[row] for row in made.shuffle(seed=0)._indices.column(0).to_pylist()]
    found = manifest("hf", tmp_path / "set", tmp_path / "cache")
    assert found.ids[0] == "data-00000-of-00003.arrow/0"
    assert [found.class_names[label] for label in found.labels] == [label for *_, label in order]
    check_reads(found, order)


@pytest.fixture
def alone(tmp_path):
    """Lists data in a process of its own that must not reach the hub; its output and errors."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.helpers.packed import manifest\n"
        "from tlcli.errors import TlError\n"
        "try:\n    found = manifest('hf', sys.argv[1], Path(sys.argv[2]))\n"
        "except TlError as error:\n    sys.exit(str(error))\n"
        "print(found.class_names, found.labels.tolist(), len(found.images.encoded(0)))"
    )

    def run(path):
        done = subprocess.run(
            [sys.executable, "-c", script, str(path), str(tmp_path / "cache")],
            env={**environment(), "HF_HOME": str(tmp_path / "home"), "TL_OFFLINE": "1"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return done.stdout, done.stderr

    return run


def test_what_the_library_builds_is_read_from_its_cache(alone, rows, tmp_path):
    write_parquet(tmp_path / "hub" / "train.parquet", rows, ["cat", "dog"])
    told = f"('cat', 'dog') {[0] * 5 + [1] * 4} {len(rows[0][1])}\n"
    assert alone(tmp_path / "hub") == (told, "")


def test_a_wrong_name_is_one_line_when_offline(alone):
    out, error = alone("nobody/nothing")
    assert out == ""
    assert error.count("\n") == 1
    assert error.startswith(
        "data.path: there is no folder nobody/nothing, and as a name of the hub"
    )
    assert "Give a folder of save_to_disk, or a name" in error


def test_a_file_that_is_cut_or_missing_is_named(saved, rows, tmp_path):
    copy = tmp_path / "set"
    write_hf(copy, {"train": rows}, ["cat", "dog"])
    path = copy / "train" / "data-00000-of-00001.arrow"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"Save .*again"):
        manifest("hf", copy, tmp_path / "cache")
    path.unlink()
    with pytest.raises((ConfigError, DataError), match=r"set"):
        manifest("hf", copy, tmp_path / "cache")


def test_splits_without_one_for_training(rows, tmp_path):
    write_hf(tmp_path / "a", {"first": rows[:5], "second": rows[5:]}, ["cat", "dog"])
    with pytest.raises(ConfigError, match=r"has the splits first, second, and none for training"):
        manifest("hf", tmp_path / "a", tmp_path / "cache")
    write_hf(tmp_path / "b", {"train": rows, "unsupervised": rows}, ["cat", "dog"])
    found = manifest("hf", tmp_path / "b", tmp_path / "cache")
    assert len(found.ids) == 9
    assert "splits left out: 'unsupervised'" in found.report["notes"]
