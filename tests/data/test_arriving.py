import itertools
import os
import threading
import time

import pytest

from tlcli.data import arriving
from tlcli.data.arriving import flowing, watched
from tlcli.errors import DataError


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(arriving, "PAUSE", 0.001)
    monkeypatch.setattr(arriving, "SHARE", 0)


def seen(folder, looks, between=()):
    """Names that looks find; before the look of a number, its function is called."""
    steps, found = dict(between), []
    walked = arriving._listed
    count = itertools.count()

    def listed(folder):
        steps.get(next(count), lambda: None)()
        return walked(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arriving, "_listed", listed)
        found += [os.path.basename(path) for path in watched(folder, looks)]
    return found


def test_what_is_there_comes_first_then_what_is_new(tmp_path):
    (tmp_path / "a.png").write_text("a")
    later = {3: lambda: (tmp_path / "b.png").write_text("b")}
    assert seen(tmp_path, 8, later) == ["a.png", "b.png"]


def test_a_file_that_grows_waits_until_it_is_whole(tmp_path):
    parts = {n: lambda n=n: (tmp_path / "a.png").write_text("x" * n) for n in range(1, 5)}
    assert seen(tmp_path, 4, parts) == []
    (tmp_path / "a.png").unlink()
    assert seen(tmp_path, 9, parts) == ["a.png"]


def test_one_that_is_written_anew_counts_again(tmp_path):
    (tmp_path / "a.png").write_text("a")
    again = {4: lambda: (tmp_path / "a.png").write_text("other")}
    assert seen(tmp_path, 9, again) == ["a.png", "a.png"]


def test_rights_that_are_set_later_make_no_other_picture(tmp_path):
    (tmp_path / "a.png").write_text("a")
    assert seen(tmp_path, 9, {4: lambda: (tmp_path / "a.png").chmod(0o600)}) == ["a.png"]


def test_empty_and_hidden_files_and_texts_are_no_pictures(tmp_path):
    for name, text in (("a.png", ""), (".b.png", "b"), ("c.txt", "c")):
        (tmp_path / name).write_text(text)
    assert seen(tmp_path, 4) == []


def test_a_folder_that_goes_ends_it(tmp_path):
    inner = tmp_path / "in"
    inner.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        seen(inner, 4, {2: inner.rmdir})


def test_parts_are_what_has_come_and_none_waits():
    go = threading.Event()

    def paths():
        yield from "ab"
        go.wait(10)
        yield "c"

    parts = flowing(str.upper, paths(), 2, 8)
    found = next(parts)
    while len(found) < 2:
        found += next(parts)
    assert found == [("a", "A"), ("b", "B")]
    go.set()
    assert [one for part in parts for one in part] == [("c", "C")]


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_all_come_in_order_and_no_part_is_too_large(count):
    def slow(path):
        time.sleep(0.001 * (int(path) % 3))
        return int(path)

    parts = list(flowing(slow, map(str, range(count)), 4, 8))
    assert [one for part in parts for one in part] == [(str(n), n) for n in range(count)]
    assert all(1 <= len(part) <= 8 for part in parts)


def test_only_so_many_are_decoded_ahead():
    asked = []

    def paths():
        for number in range(1000):
            asked.append(number)
            yield str(number)

    parts = flowing(str, paths(), 2, 4)
    next(parts)
    time.sleep(0.1)
    assert len(asked) <= 4 + 2 * 4 + 2 + 1
    parts.close()


def test_what_a_source_raises_is_raised():
    def paths():
        yield "a"
        raise DataError("folder", "went", "Look.")

    with pytest.raises(DataError, match="went"):
        list(flowing(str.upper, paths(), 2, 4))
