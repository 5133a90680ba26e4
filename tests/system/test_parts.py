import ml_dtypes
import numpy as np
import pytest

from tlcli.system import crew as crews
from tlcli.system import parts
from tlcli.system.crew import Crew


def test_arrays_come_back_as_they_were(tmp_path):
    given = [
        np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1.5, -2], ml_dtypes.bfloat16),
        np.zeros((0, 4), np.uint8),
    ]  # fmt: skip
    parts.write(tmp_path / "a.part", given, "pictures")
    for one, other in zip(parts.read(tmp_path / "a.part", "pictures"), given, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert parts.read(tmp_path / "a.part", "other pictures") is None
    assert parts.read(tmp_path / "b.part") is None


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: b"PK nonsense"])
def test_what_is_damaged_or_of_something_else_is_computed_again(tmp_path, damage):
    made = []

    def make(number):
        made.append(number)
        return [np.full(3, number)]

    def all_of(rank, made_of=lambda _: ""):
        made.clear()
        found = parts.computed(Crew(tmp_path, rank, 2), tmp_path, 4, make, made_of=made_of)
        return [int(one[0][0]) for one in found]

    assert all_of(1) == [0, 1, 2, 3]
    assert made == [2, 3, 0, 1]
    torn = tmp_path / f"00000002{crews.PART}"
    torn.write_bytes(damage(torn.read_bytes()))
    assert all_of(0) == [0, 1, 2, 3]
    assert made == [2]
    assert all_of(0, lambda number: "new" if number == 3 else "") == [0, 1, 2, 3]
    assert made == [2, 3]
