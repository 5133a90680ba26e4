"""Hashes that are remembered beside the stamps of files."""

import hashlib

import numpy as np
import pytest

from tests.helpers.changes import flip
from tlcli.data import hash_memory
from tlcli.data.hash_memory import SIZE, joined, memory_file, read, remember_verified, verified

NAMES = ["a", "b", "c"]


def rows(count, start=0):
    stamps = np.arange(2 * count).reshape(count, 2) + start
    return stamps, np.full((count, SIZE), start, np.uint8)


def test_what_was_written_is_read(tmp_path):
    path = memory_file("source", tmp_path / "new")
    assert read(path) is None
    hash_memory.write(path, NAMES, *rows(3, 7))
    names, stamps, hashes = read(path)
    assert names == joined(NAMES)
    np.testing.assert_array_equal(stamps, rows(3, 7)[0])
    np.testing.assert_array_equal(hashes, rows(3, 7)[1])


def test_rows_of_others_stay(tmp_path):
    path = memory_file("source", tmp_path)
    hash_memory.write(path, NAMES, *rows(3, 1))
    hash_memory.write(path, ["b", "d"], *rows(2, 9))
    names, _, hashes = read(path)
    assert names.split(b"\0") == [b"b", b"d", b"a", b"c"]
    assert hashes[:, 0].tolist() == [9, 9, 1, 1]


def test_a_damaged_memory_is_none_and_one_that_cannot_be_written_done_without(tmp_path):
    path = memory_file("source", tmp_path)
    hash_memory.write(path, NAMES, *rows(3))
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 60).tolist():
        damaged = bytearray(content)
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        found = read(path)  # Bytes that no checksum covers change nothing that is read.
        assert found is None or np.array_equal(found[2], rows(3)[1])
    (tmp_path / "file").write_text("no folder")
    hash_memory.write(memory_file("source", tmp_path / "file"), NAMES, *rows(3))


@pytest.mark.parametrize("known", [False, True])
def test_a_file_is_hashed_again_after_a_change(tmp_path, known):
    path, cache, asked = tmp_path / "shard", tmp_path / "cache", []
    path.write_bytes(b"abcdef")
    expected = hashlib.sha256(b"abcdef").hexdigest()

    def sha256(file):
        asked.append(file)
        return hashlib.sha256(file.read_bytes()).hexdigest()

    if known:
        remember_verified(path, expected, cache)
    assert verified(path, sha256, expected, cache)
    assert verified(path, sha256, expected, cache)
    assert len(asked) == (0 if known else 1)
    flip(path)
    assert not verified(path, sha256, expected, cache)
