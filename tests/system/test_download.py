"""Files fetched from a server on this machine, which breaks off, forgets ranges and lies."""

import os
import threading
from pathlib import Path

import pytest

from tests.helpers.web import site
from tlcli.errors import DataError, TlError
from tlcli.system import download
from tlcli.system.download import NotFetched, fetch, is_offline, offline, reachable

DATA = bytes(range(256)) * 4096  # 1 MiB


def whole(path):
    if path.read_bytes() != DATA:
        raise DataError(str(path), "is another", "Fetch it again.")


def fetched(url, target, check=whole):
    steps = []
    fetch(url, target, check, lambda done, total: steps.append((done, total)))
    return steps


def part_of(target):
    return target.with_name(f".{target.name}.part")


def test_a_file_comes_whole_and_is_told_of(tmp_path):
    with site(a=DATA) as web:
        steps = fetched(f"{web.url}/a", tmp_path / "deep" / "a")
    assert (tmp_path / "deep" / "a").read_bytes() == DATA
    assert steps[-1] == (len(DATA), len(DATA))
    assert sorted(os.listdir(tmp_path / "deep")) == [".fetch.lock", "a"]
    assert (tmp_path / "deep" / "a").stat().st_mode & 0o777 == 0o644


def test_a_connection_that_breaks_is_gone_on_with(tmp_path):
    with site(a=DATA) as web:
        web.breaks = [300_000, 300_000]
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA
    assert [wanted for _, _, wanted in web.asked] == ["", "bytes=300000-", "bytes=600000-"]


def test_what_one_call_left_the_next_goes_on_with(tmp_path):
    with site(a=DATA) as web:
        web.breaks = [100_000, 0]
        with pytest.raises(
            NotFetched, match=r"broke off after 100,000 bytes\)\. What came is kept"
        ):
            fetched(f"{web.url}/a", tmp_path / "a")
        assert not (tmp_path / "a").exists()
        assert part_of(tmp_path / "a").read_bytes() == DATA[:100_000]
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA
    assert web.asked[-1] == ("GET", "/a", "bytes=100000-")


def test_a_server_without_ranges_sends_everything_again(tmp_path):
    part_of(tmp_path / "a").write_bytes(DATA[:1000])
    with site(a=DATA) as web:
        web.ranges = False
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_part_that_is_already_whole_needs_no_more(tmp_path):
    part_of(tmp_path / "a").write_bytes(DATA)
    with site(a=DATA) as web:
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("left", [b"\0" * 5000, b"\0" * (len(DATA) + 5)])
def test_a_part_of_another_file_is_forgotten(tmp_path, left):
    part_of(tmp_path / "a").write_bytes(left)
    with site(a=DATA) as web:
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_file_that_is_not_the_one_never_takes_its_place(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with site(a=DATA[::-1]) as web, pytest.raises(DataError, match="is another"):
        fetched(f"{web.url}/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert not part_of(tmp_path / "a").exists()


def test_answers_that_are_no_file_are_told(tmp_path):
    with site() as web, pytest.raises(NotFetched, match=r"^cannot fetch http.*/a \(404 "):
        fetched(f"{web.url}/a", tmp_path / "a")
    with pytest.raises(NotFetched, match=r"^cannot fetch http.*refused\)$"):
        fetched(f"{web.url}/a", tmp_path / "a")  # nobody listens any more
    for address in ("file:///etc/passwd", "ftp://127.0.0.1/a", "/etc/passwd"):
        with pytest.raises(NotFetched, match="is no http address"):
            fetched(address, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_two_who_fetch_the_same_file_do_not_mix_it(tmp_path):
    target, faults = tmp_path / "a", []

    def work():
        try:
            fetched(f"{web.url}/a", target)
        except TlError as error:
            faults.append(error)

    with site(a=DATA) as web:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []
    assert target.read_bytes() == DATA


def test_offline_asks_nobody(tmp_path, monkeypatch):
    monkeypatch.delenv(download.OFFLINE, raising=False)
    with site(a=DATA) as web:
        with offline(True), pytest.raises(NotFetched, match="offline=true"):
            fetched(f"{web.url}/a", tmp_path / "a")
        assert web.asked == []
        with offline(True):
            assert is_offline()
            assert os.environ["HF_HUB_OFFLINE"] == "1"
        assert not is_offline()
        with offline(False):
            assert not is_offline()
    for value, expected in (("1", True), ("true", True), ("0", False), ("", False), ("no", False)):
        monkeypatch.setenv(download.OFFLINE, value)
        assert is_offline() is expected


def test_a_server_answers_or_not():
    with site(a=DATA) as web:
        assert reachable(f"{web.url}/a")
        assert not reachable(f"{web.url}/b")
        assert web.asked[0][0] == "HEAD"
    assert not reachable(f"{web.url}/a")
    assert not reachable("nonsense")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    Path(tmp_path / "file").write_text("")
    with site(a=DATA) as web, pytest.raises(TlError, match="cannot be written"):
        fetched(f"{web.url}/a", tmp_path / "file" / "a")
