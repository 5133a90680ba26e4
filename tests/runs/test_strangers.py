"""strangers.npz gives back what was written, and what is none of a run's is refused."""

import numpy as np
import pytest

from tlcli.errors import DataError
from tlcli.evaluation import strangers as telling
from tlcli.runs import strangers
from tlcli.runs.archive import save_npz


@pytest.fixture
def found():
    random = np.random.default_rng(0)
    return telling.fitted(random.normal(size=(40, 3)), random.normal(size=(40, 8)), 0.9, True)


def test_what_is_written_is_read(tmp_path, found):
    strangers.write(tmp_path, found)
    back = strangers.read(tmp_path)
    for name in strangers.NEEDED:
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    assert (type(back.threshold), type(back.several)) == (float, bool)
    random = np.random.default_rng(1)
    new = random.normal(size=(5, 3)), random.normal(size=(5, 8))
    np.testing.assert_array_equal(back.scores(*new), found.scores(*new))


def test_a_run_may_lack_it(tmp_path):
    assert strangers.read(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("bank", np.zeros((40, 8), np.float32), "no table of finite numbers of 16 bits"),
        ("bank", np.full((40, 8), np.inf, np.float16), "no table of finite numbers of 16 bits"),
        ("bank", np.zeros((5, 8), np.float16), r"its bank has the shape \(5, 8\)"),
        ("bank", np.zeros((1001, 8), np.float16), r"its bank has the shape \(1001, 8\)"),
        ("bank", np.zeros((40, 0), np.float16), r"its bank has the shape \(40, 0\)"),
        ("centre", np.zeros(3), "its centre is none of a run's"),
        ("spread", np.array([1.0, 0.0]), "its spread is not above 0"),
        ("threshold", np.float64("nan"), "its threshold is none of a run's"),
        ("inside", np.array("x"), "its inside is none of a run's"),
        ("several", np.int64(1), "its several is no truth"),
        ("centre", None, "lacks the array centre"),
    ],
)
def test_other_arrays_are_refused(tmp_path, found, name, value, problem):
    arrays = {key: np.asarray(getattr(found, key)) for key in strangers.NEEDED} | {name: value}
    with (tmp_path / strangers.FILE).open("wb") as file:
        save_npz(file, {k: np.asarray(v) for k, v in arrays.items() if v is not None})
    with pytest.raises(DataError, match=problem):
        strangers.read(tmp_path)


def test_bytes_that_are_no_archive_are_refused(tmp_path):
    (tmp_path / strangers.FILE).write_bytes(b"PK\x03\x04" + bytes(40))
    with pytest.raises(DataError, match=r"strangers\.npz: cannot be read"):
        strangers.read(tmp_path)
