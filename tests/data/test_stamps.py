"""What tells that a file was changed."""

import os

from tests.helpers.changes import flip
from tlcli.data.stamps import GONE, stamp, stamp_of, stamps


def test_a_file_keeps_its_stamp_until_it_is_touched(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    first = stamp(path)
    assert first == stamp(path) == stamp_of(os.stat(path))
    assert first[0] == 3
    flip(path, 1)  # Size and time of change stay.
    second = stamp(path)
    assert second != first
    path.rename(tmp_path / "b")
    path.write_bytes(b"abc")
    os.utime(path, ns=(os.stat(tmp_path / "b").st_mtime_ns,) * 2)
    assert stamp(path) not in (first, second)


def test_what_is_not_there_has_a_stamp_of_its_own(tmp_path):
    found = stamps([tmp_path / "none", tmp_path])
    assert tuple(found[0]) == GONE
    assert tuple(found[1]) != GONE
    assert stamps([]).shape == (0, 2)
