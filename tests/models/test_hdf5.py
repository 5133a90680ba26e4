"""HDF5 files of strangers: plain arrays in the file itself, nothing else."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tlcli.errors import ConfigError, DataError
from tlcli.models.hdf5 import all_datasets, descend, names_of, opened, read


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "x.h5"
    with h5py.File(found, "w") as file:
        file["a/b"] = np.arange(3.0)
        file["c"] = np.ones(2, np.float32)
    return found


def datasets(path):
    with opened(path, "weights") as file:
        return {key: read(one) for key, one in all_datasets(file, path).items()}


def test_arrays_are_found_by_their_key(path):
    found = datasets(path)
    assert sorted(found) == ["a/b", "c"]
    np.testing.assert_array_equal(found["a/b"], [0, 1, 2])


@pytest.mark.parametrize("kind", ["soft", "external", "twice", "text", "sparse"])
def test_what_lies_elsewhere_or_nowhere_is_refused(path, kind):
    with h5py.File(path, "a") as file:
        if kind == "soft":
            file["d"] = h5py.SoftLink("/c")
        elif kind == "external":
            file["d"] = h5py.ExternalLink("other.h5", "/c")
        elif kind == "twice":
            file["d"] = file["a"]
        elif kind == "text":
            file["d"] = "words"
        else:
            file.create_dataset("d", (1000,), chunks=(10,))
    with pytest.raises(DataError, match=r"x\.h5: d(/\w+)? "):
        datasets(path)


def test_a_missing_or_broken_file_is_one_line(path):
    with pytest.raises(ConfigError, match=r"^weights: no file"), opened(Path("none"), "weights"):
        pass
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(DataError, match="not a whole HDF5 file"):
        datasets(path)


def test_members_are_found_step_by_step_and_long_lists_of_names_in_parts(path):
    with h5py.File(path, "a") as file:
        file.attrs["names0"], file.attrs["names1"] = [b"x", b"y"], [b"z"]
        assert names_of(file, "names") == ["x", "y", "z"]
        np.testing.assert_array_equal(read(descend(file, "a/b", path)), [0, 1, 2])
        with pytest.raises(DataError, match="lacks a/z"):
            descend(file, "a/z", path)
