"""A file of the cache or of prepared data that is no file, or holds anything, is none at once."""

import json
import os
import pwd
from pathlib import Path

import numpy as np
import pytest

from tlcli.config import registry
from tlcli.data import hash_memory, prepared, scan
from tlcli.data.damage import Damage
from tlcli.distill import block_index
from tlcli.errors import ConfigError, DataError
from tlcli.models import weight_cache
from tlcli.models.frozen import table_file
from tlcli.runs import output
from tlcli.system import files

KINDS = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "nothing": Path.touch,
}


@pytest.fixture(params=KINDS)
def odd(request, tmp_path):
    """Makes something odd of a path below a folder, which it gives."""

    def make(name):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        KINDS[request.param](path)
        return path

    return make


@pytest.mark.parametrize("read", [hash_memory.read, scan.load_scan, prepared.read_part])
def test_arrays_of_the_cache(odd, read):
    assert read(odd("x.npz")) is None


def test_tables_of_the_cache(odd):
    place = odd(f"table/{table_file.FACTS}").parent
    assert table_file.read(place, mapped=True) is None
    assert table_file.blocks(place) == {}


def test_what_is_remembered_of_pictures(odd, tmp_path):
    damage = Damage("data", tmp_path, "skip", "skip", (0, 1))
    odd(vars(damage)["_path"].name)
    assert damage.known(["a.jpg"], np.zeros((1, 2), np.int64), lambda _: b"") == {}


def test_what_is_remembered_of_outputs(odd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "ours.csv"
    output.write(path, b"ours")
    (note,) = (tmp_path / "cache").rglob("outputs/*")
    note.unlink()
    odd(note.relative_to(tmp_path))
    with pytest.raises(ConfigError, match="did not write it"):
        output.place(str(path), False)


def test_a_head_of_teacher_outputs(odd):
    # Whatever it raises, its reader takes it for damaged; it only must not wait.
    with pytest.raises(Exception, match=r"\w"):
        block_index.read(odd("store.json"))


def test_a_hash_is_taken_of_files_alone(odd, tmp_path):
    path = odd("x")
    if path.is_file():
        assert len(files.sha256(path)) == 64
    else:
        with pytest.raises(DataError):
            files.sha256(path)


def test_facts_of_prepared_data(odd, tmp_path):
    path = odd(prepared.FACTS)
    if not path.is_file():
        assert prepared.read_facts(tmp_path) is None
        return
    with pytest.raises(DataError, match=r"prepared\.json: is "):
        prepared.read_facts(tmp_path)


GOOD = {
    "format": prepared.FORMAT, "source": "/data", "complete": True, "class_names": ["a", "b"],
    "shards": ["train-00000-of-00001"],
}  # fmt: skip


@pytest.mark.parametrize("change", [
    {"shards": 5}, {"shards": []}, {"shards": [5]}, {"shards": ["../train-00000-of-00001"]},
    {"shards": ["/etc/passwd"]}, {"shards": GOOD["shards"] * 2}, {"shards": ["dev-0-of-1"]},
    {"class_names": "ab"}, {"class_names": [1]}, {"class_names": ["a", "a"]},
    {"class_names": [""]}, {"class_names": None}, {"complete": "yes"}, {"source": None},
    {"format": ["\x1b[31m"]},
], ids=str)  # fmt: skip
def test_facts_of_prepared_data_have_a_schema(tmp_path, change):
    (tmp_path / prepared.FACTS).write_text(json.dumps(GOOD))
    assert prepared.read_facts(tmp_path) == GOOD
    (tmp_path / prepared.FACTS).write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(DataError) as told:
        prepared.read_facts(tmp_path)
    assert str(told.value).isprintable()
    for key in change:
        left = {name: value for name, value in GOOD.items() if name != key}
        (tmp_path / prepared.FACTS).write_text(json.dumps(left))
        with pytest.raises(DataError, match="is broken"):
            prepared.read_facts(tmp_path)


def part(**changed):
    columns = {name: np.ones(2, np.int64) for name in prepared.COLUMNS}
    labels = np.array([0, 1], np.int32)
    words = {"size": 10, "sha256": "0" * 64, "pictures": ""}
    return {
        **columns, "labels": labels, "ids": np.frombuffer(b"x\0y", np.uint8),
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8), **changed,
    }  # fmt: skip


@pytest.mark.parametrize("name", prepared.COLUMNS)
@pytest.mark.parametrize("value", [
    np.ones(3, np.int64), np.ones(2), np.array([1, -1]), np.array("x"), np.ones((2, 2), np.int64),
], ids=["longer", "floats", "negative", "text", "matrix"])  # fmt: skip
def test_an_index_that_fits_no_pictures_is_none(tmp_path, name, value):
    path = tmp_path / "x.npz"
    np.savez(path, **part())
    assert prepared.read_part(path) is not None
    np.savez(path, **part(**{name: value}))
    assert prepared.read_part(path) is None


def test_labels_that_are_none_of_the_classes_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    for labels in (np.array([0, 2]), np.zeros((2, 3), int), np.full((2, 2), 2)):
        np.savez(path, **part(labels=labels))
        with pytest.raises(DataError, match="none of 2 classes"):
            prepared.check_labels(tmp_path, [prepared.read_part(path)], 2)


def test_who_has_no_home_has_no_files_there(monkeypatch):
    def nobody(_):
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert "light" in registry.names("augmentation")
    assert weight_cache.present() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_home_that_cannot_be_looked_into_is_as_none(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path.chmod(0)
    try:
        assert "light" in registry.names("augmentation")
        assert weight_cache.present() == []
    finally:
        tmp_path.chmod(0o700)
