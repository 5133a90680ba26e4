import threading

import pytest

from tlcli.config import bundled
from tlcli.errors import DataError
from tlcli.system import bundle


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """A file of `tl pack`, with a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    path = tmp_path / "run.v2.zip"
    with open(path, "wb") as file:
        bundle.write(file, folder, ["config.json"], "run")
    return path


def test_a_packed_folder_is_unpacked_once(pack):
    place = bundled.located(pack, "checkpoint")
    assert (place / "config.json").read_text() == "{}"
    assert place.name == "run.v2"
    before = (place / "config.json").stat().st_ino
    bundled.unpacked.cache_clear()
    assert bundled.located(str(pack), "checkpoint") == place
    assert (place / "config.json").stat().st_ino == before


def test_other_content_of_the_same_name_is_another_folder(pack, tmp_path):
    first = bundled.located(pack, "checkpoint")
    (tmp_path / "run" / "config.json").write_text('{"a": 1}')
    pack.unlink()
    with open(pack, "wb") as file:
        bundle.write(file, tmp_path / "run", ["config.json"], "run")
    second = bundled.located(pack, "checkpoint")
    assert second != first
    assert (second / "config.json").read_text() == '{"a": 1}'


def test_several_unpack_at_once(pack):
    found, start = [], threading.Barrier(8)

    def one():
        start.wait()
        found.append(bundled.unpacked.__wrapped__(pack, (0,)))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [p.name for p in found[0].parent.iterdir()] == ["run.v2"]


def test_a_damaged_one_leaves_nothing(pack, tmp_path):
    whole = bytearray(pack.read_bytes())
    whole[whole.index(b"{}")] = ord("[")
    pack.write_bytes(whole)
    with pytest.raises(DataError, match=r"run\.v2\.zip"):
        bundled.located(pack, "checkpoint")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_without_a_cache_it_is_unpacked_for_this_process(pack, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert (bundled.located(pack, "checkpoint") / "config.json").is_file()


def test_what_is_not_packed_stays_as_it_was_given(tmp_path):
    assert bundled.located(tmp_path, "checkpoint") == tmp_path
    assert bundled.home(tmp_path, "checkpoint") == tmp_path
    assert bundled.located("nowhere", "checkpoint").name == "nowhere"


def test_outputs_lie_beside_a_packed_run(pack):
    assert bundled.home(pack, "checkpoint") == pack.with_name("run.v2")
