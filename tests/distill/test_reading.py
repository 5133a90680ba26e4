"""Files of outputs as arrays; nothing in them runs."""

import numpy as np
import pytest

from tlcli.distill.reading import arrays, class_names
from tlcli.errors import ConfigError, DataError


def test_numpy_files_are_read_under_one_name_for_ids(tmp_path):
    np.savez(tmp_path / "x.npz", path=["a", "b"], logits=np.eye(2), class_names=["cat", "dog"])
    found = arrays(tmp_path / "x.npz", "logits")
    assert found["ids"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(found["logits"], np.eye(2))
    assert class_names(tmp_path / "x.npz") == ("cat", "dog")
    np.save(tmp_path / "x.npy", np.eye(2))
    assert list(arrays(tmp_path / "x.npy", "probabilities")) == ["probabilities"]
    assert class_names(tmp_path / "x.npy") is None


def test_objects_and_torn_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "y.npz").write_bytes(b"PK torn")
    for name in ("x.npy", "y.npz"):
        with pytest.raises(DataError, match="cannot be read"):
            arrays(tmp_path / name, "logits")
    with pytest.raises(ConfigError, match=r"^teacher\.path: .*there is no such file"):
        arrays(tmp_path / "none.npy", "logits")
    assert class_names(tmp_path / "y.npz") is None
