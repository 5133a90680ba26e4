"""What cannot be written into the cache folder is told once and done without."""

import errno
import json
import logging

import pytest

from tlcli.system import cache


def test_a_file_appears_whole(tmp_path):
    cache.write(tmp_path / "deep" / "a.npz", lambda file: file.write(b"abc"))
    assert (tmp_path / "deep" / "a.npz").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ValueError("an open handle")]
)
def test_a_full_disk_is_told_once_and_leaves_what_was_there(tmp_path, caplog, error):
    path = tmp_path / "a.npz"
    path.write_bytes(b"before")

    def fill(file):
        file.write(b"half")
        raise error

    with caplog.at_level(logging.WARNING, "tlcli"):
        for _ in range(3):
            cache.write(path, fill)
    assert path.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]
    (line,) = caplog.messages
    assert line.startswith(f"cache: {tmp_path} cannot be written (")


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    cache.write(tmp_path / "file" / "a.npz", lambda file: file.write(b"abc"))
    assert (tmp_path / "file").read_bytes() == b""


def test_what_cannot_be_used_is_told_once_and_is_none(tmp_path, caplog):
    path = tmp_path / "a.json"
    with caplog.at_level(logging.WARNING, "tlcli"):
        assert cache.read(path, lambda path: json.loads(path.read_text())) is None
        assert not caplog.messages
        path.write_text("[1]")
        assert cache.read(path, lambda path: json.loads(path.read_text())) == [1]
        path.write_text("[")
        for _ in range(3):
            assert cache.read(path, lambda path: json.loads(path.read_text())) is None
    (line,) = caplog.messages
    assert line.startswith(f"cache: {path} cannot be used (")
    assert line.endswith("made anew")


def test_what_the_caller_answers_for_rises(tmp_path):
    path = tmp_path / "a.json"
    path.touch()

    def load(_):
        raise KeyError("a")

    with pytest.raises(KeyError):
        cache.read(path, load, (KeyError,))
    assert cache.read(path, load) is None
