"""Whether the data of a state is that of the training that goes on from it."""

import base64
import tracemalloc
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from tlcli.contracts.data import TEST
from tlcli.data.content import combined
from tlcli.data.damage import ERROR, Damage, Fault, FaultyPictures
from tlcli.errors import DataError
from tlcli.runs.state import State
from tlcli.runs.state_data import made_with_faulty, same_pictures, seen_pictures


def manifest(fingerprint="now", listed=None, broken=None, known=None, values=(1, 2, 3)):
    values = np.array(values)
    images = SimpleNamespace(first_broken=lambda rows: broken, known=lambda: known)
    return SimpleNamespace(
        fingerprint=fingerprint, listed=listed, images=images, ids=["a", "b", "c"],
        splits=np.array([0, 0, TEST]), content=lambda rows: combined(values[rows]),
    )  # fmt: skip


def saved(**facts):
    return State({"model/0": np.zeros(1)}, facts, [])


def test_a_state_is_compared_by_the_pictures_that_it_has_seen():
    facts = seen_pictures(manifest(known=np.array([True, False, True])))
    assert same_pictures(manifest(values=(1, 9, 9)), facts)
    assert not same_pictures(manifest(values=(9, 2, 3)), facts)
    assert same_pictures(manifest(), {})
    assert not same_pictures(manifest(), {"seen": "?"})
    assert not same_pictures(manifest(), {"seen": 5})


def test_what_expands_to_gigabytes_is_not_expanded():
    bomb = base64.b85encode(zlib.compress(bytes(1 << 28))).decode()
    tracemalloc.start()
    assert not same_pictures(manifest(), {"seen": bomb, "content": "x"})
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("found", "data", "expected"),
    [
        (None, manifest(), False),
        (State({}, {}, ["torn"]), manifest(), False),
        (saved(fingerprint="now", listed="all"), manifest(listed="all"), False),
        (saved(fingerprint="with", listed="with"), manifest(listed="with"), True),
        (saved(fingerprint="with", listed="with"), manifest(listed="other"), False),
        (saved(fingerprint="with"), manifest(), False),
        (saved(fingerprint="b", listed="with"), manifest(listed="with"), True),
    ],
)
def test_a_state_of_more_pictures_is_that_of_the_same_data(found, data, expected):
    assert made_with_faulty(data, found) is expected


def test_what_was_forgotten_is_found_again(tmp_path):
    damage = Damage(str(tmp_path), tmp_path, "skip", "skip", (0, 3))
    fault = FaultyPictures(damage, {"a": Fault(ERROR, "why", "", 1, 1)})
    state = saved(fingerprint="without", listed="all")
    with pytest.raises(FaultyPictures):
        made_with_faulty(manifest("all", broken=fault), state)
    gone = DataError("a", "is gone", "Restore it.")
    assert made_with_faulty(manifest("all", broken=gone), state)
