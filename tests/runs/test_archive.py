import numpy as np

from tlcli.runs.archive import save_npz


def test_the_same_arrays_give_the_same_bytes_that_numpy_reads(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3).T, "b": np.float64(0.5), "c": np.array(["x", "yz"])}
    paths = [tmp_path / name for name in ("one.npz", "two.npz")]
    for path in paths:
        with path.open("wb") as file:
            save_npz(file, arrays, ("c",))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with np.load(paths[0]) as found:
        assert sorted(found) == ["a", "b", "c"]
        for name, array in arrays.items():
            assert found[name].shape == array.shape
            np.testing.assert_array_equal(found[name], array)
