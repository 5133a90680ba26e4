"""Files from outside are opened without hanging and told of in one line."""

import os
import zlib

import pytest

from tlcli.errors import ConfigError, DataError
from tlcli.system import opened


def test_a_regular_file_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes("\ufeff{}".encode())
    assert opened.read_text(path, "json") == "{}"
    with opened.open_regular(path, "json") as file:
        assert file.read().endswith(b"{}")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, said in (
        (tmp_path / "pipe", "is a pipe"), (tmp_path, "is a folder"), ("/dev/zero", "is a device"),
        (tmp_path / "loop", "cannot be opened"), (tmp_path / "none", "is missing"),
        (tmp_path / ("x" * 300), "cannot be opened"), ("a\0b", "cannot be opened"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=said):
            opened.open_regular(path, "json")


def test_a_file_above_its_kind_is_refused(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * 65537)
    with pytest.raises(DataError, match=r"65,537 bytes, 65,536 are the most for recipe"):
        opened.open_regular(path, "recipe")


def deep(number=0):
    return deep(number + 1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda: zlib.decompress(b"no"), "cannot be read"),
        (lambda: b"\xff".decode(), "cannot be read"),
        (lambda: [][1], "cannot be read"),
        (deep, "nested too deep"),
        (lambda: bytearray(1 << 62), "more memory"),
        (lambda: int(object.__repr__(deep)), r"'<function object>'"),
    ],
)
def test_whatever_bytes_raise_becomes_one_line_with_the_file(fault, said):
    with pytest.raises(DataError, match=said) as told, opened.reading("some/file"):
        fault()
    assert told.value.where == "some/file"
    assert "\n" not in str(told.value)


def test_our_own_errors_and_a_stop_pass(tmp_path):
    with pytest.raises(ConfigError, match="mine"), opened.reading("x"):
        raise ConfigError("mine", "is wrong", "Mend it.")
    with pytest.raises(KeyboardInterrupt), opened.reading("x"):
        raise KeyboardInterrupt


def test_a_part_is_read_whole_and_ends_with_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    pread = os.pread
    # A call may give fewer bytes than it was asked for.
    monkeypatch.setattr(os, "pread", lambda file, count, start: pread(file, min(count, 7), start))
    data, status = opened.read_part(path, "shard", 10, 50)
    assert (data, status.st_size) == (bytes(range(10, 60)), 200)
    assert opened.read_part(path, "shard", 190, 50)[0] == bytes(range(190, 200))
    assert opened.read_part(path, "shard", 300, 50)[0] == b""
    before = len(os.listdir("/proc/self/fd"))
    for wrong, told in ((tmp_path, "is a folder, no file"), (tmp_path / "none", "is missing")):
        with pytest.raises(DataError, match=told):
            opened.read_part(wrong, "shard", 0, 1)
    assert len(os.listdir("/proc/self/fd")) == before
