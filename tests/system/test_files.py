"""Files appear whole or not at all; a full disk is waited for."""

import numpy as np
import pytest

from tlcli.errors import ConfigError
from tlcli.runs import state
from tlcli.system import files


def test_a_full_disk_is_waited_for_until_there_is_room(small_disk):
    place, remount = small_disk
    big = {"weights": np.zeros(50_000, np.float32)}
    asked = []

    def make_room():
        asked.append(1)
        if len(asked) == 2:
            assert remount("size=1m") == 0
        return False

    files.patiently(lambda: state.save(place / "state", 10, big, {"step": 10}), 60, make_room)
    assert len(asked) == 2
    np.testing.assert_array_equal(state.load(place / "state").arrays["weights"], big["weights"])


def test_patience_ends_at_its_time_and_when_a_person_asks():
    tries = []

    def full():
        tries.append(1)
        raise files.WriteError("full")

    with pytest.raises(files.WriteError):
        files.patiently(full, 0)
    assert len(tries) == 1
    with pytest.raises(files.WriteError):
        files.patiently(full, 0.3)
    assert len(tries) in (3, 4)  # at 0, 0.25 and 0.3 s, or late on a busy machine
    with pytest.raises(files.WriteError):
        files.patiently(full, 3600, lambda: True)
    assert len(tries) == 5


@pytest.mark.parametrize("given", ["s3://bucket/x", "https://host/x"])
def test_an_address_is_no_path_of_this_machine(given):
    with pytest.raises(
        ConfigError, match=r"^cache_dir: an address cannot stand here\. Give a path"
    ):
        files.expanded(given, "cache_dir")
