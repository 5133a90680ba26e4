"""States on disk: what survives damage, a full disk and a folder that cannot be written."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from tlcli.runs import state
from tlcli.system import files

ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "seed": np.uint32(7)}


@pytest.fixture
def folder(tmp_path):
    """Two states, of steps 5 and 10."""
    for step in (5, 10):
        state.save(tmp_path / "state", step, ARRAYS, {"step": step})
    return tmp_path / "state"


def cut(folder):
    path = folder / "0000000010.npz"
    path.write_bytes(path.read_bytes()[:100])


def flip(folder):
    path = folder / "0000000010.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def lose_data(folder):
    (folder / "0000000010.npz").unlink()


def lose_description(folder):
    (folder / "0000000010.json").unlink()


def empty_description(folder):
    (folder / "0000000010.json").write_text("")


def strange_description(folder):
    (folder / "0000000010.json").write_text("[]")


DAMAGES = {
    cut: "its hash differs", flip: "its hash differs", lose_data: "it is missing",
    lose_description: "was not saved to the end", empty_description: "Expecting value",
    strange_description: "lacks sha256",
}  # fmt: skip


def test_a_state_comes_back_as_it_was(folder):
    found = state.load(folder)
    assert found.facts == {"step": 10}
    assert found.skipped == []
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_damage_is_named_and_the_older_state_survives(folder, damage):
    damage(folder)
    found = state.load(folder)
    assert found.facts == {"step": 5}
    (told,) = found.skipped
    assert told.startswith(f"{folder}/0000000010.npz (")
    assert DAMAGES[damage] in told


def test_nothing_whole_is_told_apart_from_nothing_at_all(folder, tmp_path):
    for path in folder.glob("*.npz"):
        path.write_bytes(b"")
    assert state.load(folder).arrays == {}
    assert len(state.load(folder).skipped) == 2
    assert state.load(tmp_path / "none") is None


def test_the_last_two_are_kept_and_damaged_later_ones_do_not_outlive_them(folder):
    flip(folder)
    state.save(folder, 7, ARRAYS, {"step": 7})
    assert sorted(p.name for p in folder.iterdir()) == [
        "0000000005.json", "0000000005.npz", "0000000007.json", "0000000007.npz",
    ]  # fmt: skip
    assert state.load(folder).facts == {"step": 7}


def test_what_a_killed_save_left_is_removed_by_the_next(folder):
    torn = folder / f".0000000015.npz.abc{files.MARK}"
    torn.write_bytes(b"half")
    state.save(folder, 15, ARRAYS, {"step": 15})
    assert not torn.exists()


def test_the_same_state_is_the_same_bytes(folder, tmp_path):
    state.save(tmp_path / "again", 10, ARRAYS, {"step": 10})
    for name in ("0000000010.npz", "0000000010.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_full_disk_says_how_much_is_missing_and_keeps_the_earlier_state(small_disk):
    place, _ = small_disk
    state.save(place / "state", 5, ARRAYS, {"step": 5})
    big = {"weights": np.zeros(50_000, np.float32)}
    with pytest.raises(files.WriteError) as caught:
        state.save(place / "state", 10, big, {"step": 10})
    text = str(caught.value)
    shown = re.search(r"([\d,]+) bytes are needed, ([\d,]+) are free, ([\d,]+) are missing", text)
    needed, free, missing = (int(number.replace(",", "")) for number in shown.groups())
    assert needed - free == missing
    assert 200_000 < needed < 201_000
    assert free < 64 * 1024
    assert "What was saved before is whole" in text
    assert state.load(place / "state").facts == {"step": 5}
    assert sorted(p.suffix for p in (place / "state").iterdir()) == [".json", ".npz"]


def test_a_read_only_disk_keeps_what_was_saved(small_disk):
    place, remount = small_disk
    state.save(place / "state", 5, ARRAYS, {"step": 5})
    assert remount("ro") == 0
    with pytest.raises(files.WriteError, match="Read-only file system"):
        state.save(place / "state", 10, ARRAYS, {"step": 10})
    assert state.load(place / "state").facts == {"step": 5}


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from tlcli.runs import state
from tlcli.system import files
folder = Path(sys.argv[1])
state.save(folder, 5, {"a": np.zeros(10)}, {"step": 5})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    state.save(folder, 10, {"a": np.zeros(20_000)}, {"step": 10})
except files.WriteError as error:
    print(error)
"""


def test_a_limit_on_file_sizes_is_told(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "state"],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert "File too large" in done.stdout
    assert "a quota or a limit is smaller" in done.stdout
    assert state.load(tmp_path / "state").facts == {"step": 5}
