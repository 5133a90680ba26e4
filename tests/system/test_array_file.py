"""NumPy files of strangers: what is declared is compared with what is there before it is read."""

import io
import os
import zipfile

import numpy as np
import pytest

from tlcli.errors import DataError
from tlcli.system import array_file, memory
from tlcli.system.array_file import check_whole, load_npy, load_npz


def header(shape, descr="|u1"):
    buffer = io.BytesIO()
    content = {"shape": shape, "fortran_order": False, "descr": descr}
    np.lib.format.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("mapped", [True, False])
def test_arrays_are_read_as_numpy_does(tmp_path, order, mapped):
    array = np.asarray(np.arange(24.0).reshape(2, 3, 4), order=order)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(load_npy(tmp_path / "a.npy", mapped), array)
    np.savez_compressed(tmp_path / "a.npz", a=array, b=np.array(["x", "yy"]), c=np.float32(1))
    found = load_npz(tmp_path / "a.npz", ("a", "b", "c", "none"))
    assert sorted(found) == ["a", "b", "c"]
    np.testing.assert_array_equal(found["a"], array)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_header_that_declares_more_than_the_file_has(tmp_path, mapped):
    path = tmp_path / "a.npy"
    path.write_bytes(header((1 << 40, 1 << 20)) + b"few")
    with pytest.raises(DataError, match=r"it is cut off: 1,152,921,504,606,846,976 bytes are"):
        load_npy(path, mapped)


def test_a_zip_that_expands_beyond_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header((8 << 20,)) + bytes(8 << 20))
    monkeypatch.setattr(memory, "free", lambda: 4 << 20)
    with pytest.raises(DataError, match=r"expands to 8\.4 MB, and 4\.2 MB of memory are free"):
        load_npz(path)
    assert load_npz(path, ("y",)) == {}


def told(path):
    try:
        return load_npy(path).tobytes()
    except DataError as error:
        return str(error)


def test_a_damaged_header_is_told_in_the_same_words_each_time(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0))
    data = path.read_bytes()
    for place in range(96):
        for bit in (1, 32, 128):
            path.write_bytes(data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :])
            assert told(path) == told(path)
    path.write_bytes(data.replace(b"False", b"Falre"))
    assert "its header describes no array" in told(path)


def test_objects_and_lies_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataError, match="objects"):
        load_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", header((1 << 50,)))
    with pytest.raises(DataError, match="are declared"):
        load_npz(tmp_path / "b.npz")
    with pytest.raises(DataError, match="cannot be read"):
        load_npz(tmp_path / "a.npy")


def test_a_mapped_file_that_is_cut_later_is_told_instead_of_a_signal(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 100_000), np.uint8))
    array = load_npy(path, mapped=True)[..., None]
    check_whole(array)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match=r"a\.npy: was cut off while it was in use"):
        check_whole(array)


@pytest.mark.parametrize("free", [0, 1 << 40])
@pytest.mark.parametrize("kind", ["f4", "f2", "u1"])
def test_rows_of_a_mapped_array_are_the_same_however_they_are_read(
    tmp_path, monkeypatch, free, kind
):
    monkeypatch.setattr(array_file.memory, "free", lambda: free)
    held = np.random.default_rng(0).integers(0, 200, (300, 3, 5)).astype(kind)
    np.save(tmp_path / "a.npy", held)
    mapped = array_file.load_npy(tmp_path / "a.npy", True)
    rows = np.random.default_rng(1).integers(0, 300, 70)
    pick = array_file.picker(mapped)
    (tmp_path / "a.npy").unlink()  # what is in use needs no name
    for some in (rows, rows[:3], rows[:0]):
        found = pick(some)
        assert found.dtype == held.dtype
        np.testing.assert_array_equal(found, held[some])
    np.testing.assert_array_equal(array_file.picker(held)(rows), held[rows])
    part = array_file.picker(mapped[100:])
    np.testing.assert_array_equal(part(np.array([7])), held[107:108])


def test_a_file_that_is_cut_off_while_rows_are_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(array_file.memory, "free", lambda: 0)
    np.save(tmp_path / "a.npy", np.zeros((100, 50)))
    pick = array_file.picker(array_file.load_npy(tmp_path / "a.npy", True))
    os.truncate(tmp_path / "a.npy", 2000)
    with pytest.raises(
        DataError, match=r"a\.npy was cut off while it was in use|a\.npy: was cut off"
    ):
        pick(np.arange(90, 100))
