"""Objects of stores: what fails for a moment is tried again, what fails for good is named."""

import pytest

from tests.helpers.stores import Web
from tlcli.errors import ConfigError, DataError
from tlcli.system import remote
from tlcli.system.remote import StoreError, info_of, read_range
from tlcli.system.remote_listing import listed


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.001)


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "served"
    for name in ("a/0.txt", "a/b/1.txt", "2.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() * 100)
    with Web(root).running() as server:
        yield server


def test_all_below_a_folder_is_listed_with_size_and_version(web):
    found = listed(web.address + "/")
    assert [one.address.removeprefix(web.address) for one in found] == [
        "/2.txt", "/a/0.txt", "/a/b/1.txt"]  # fmt: skip
    assert [one.size for one in found] == [500, 700, 900]
    assert len({one.version for one in found}) == 3
    assert listed(f"{web.address}/a/0.txt") == [found[1]]
    assert info_of(found[1].address) == found[1]
    assert listed(f"{web.address}/none.txt") is None


def test_ranges_are_read(web):
    data = b"2.txt" * 100
    assert read_range(f"{web.address}/2.txt", 0, 500) == data
    assert read_range(f"{web.address}/2.txt", 7, 23) == data[7:23]
    assert read_range(f"{web.address}/2.txt", 9, 9) == b""


@pytest.mark.parametrize("fault", [500, 503, "cut", "short"])
def test_what_fails_for_a_moment_is_tried_again_and_counted(web, fault):
    web.fault = lambda number, path: fault if number < 3 else None
    before = remote.RETRIES.total()
    assert read_range(f"{web.address}/2.txt", 0, 500) == b"2.txt" * 100
    assert remote.RETRIES.total() == before + 2


@pytest.mark.parametrize(
    ("fault", "why"), [(500, "500"), ("short", "an answer of 250 bytes where")]
)
def test_what_fails_for_good_is_told_once(web, fault, why):
    web.fault = lambda number, path: fault
    with pytest.raises(StoreError, match=rf"2\.txt: cannot be reached \(.*{why}.*\), tried 6"):
        read_range(f"{web.address}/2.txt", 0, 500)
    assert len([one for one in web.asked if one[0] == "GET"]) == remote.ATTEMPTS


def test_a_store_that_is_not_there(web):
    web.stop()
    with pytest.raises(StoreError, match=r"cannot be reached .* Check the connection"):
        listed(web.address + "/")


@pytest.mark.parametrize(("fault", "message"), [
    (404, "is not there any more"), (403, "may not be read .* Give credentials"),
    (401, "may not be read")])  # fmt: skip
def test_what_is_gone_or_denied_is_not_asked_for_again(web, fault, message):
    web.fault = lambda number, path: fault
    with pytest.raises(DataError, match=message):
        read_range(f"{web.address}/2.txt", 0, 500)
    assert len([one for one in web.asked if one[0] == "GET"]) == 1


def test_large_objects_are_read_in_parts_side_by_side(web, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "CHUNK", 64)
    (one,) = listed(f"{web.address}/2.txt")
    with open(tmp_path / "out", "w+b") as file:
        assert remote.fetch(one, file.fileno()) is None
        file.seek(0)
        assert file.read() == b"2.txt" * 100
    assert len({asked for *_, asked in web.asked if asked}) == 8


@pytest.mark.parametrize("given", [
    "s3://user:password@bucket/x", "https://token@host/x", "https://host/x?X-Amz-Signature=password",
    "s3://bucket/x#password"])  # fmt: skip
def test_addresses_with_secrets_are_refused_without_repeating_them(given):
    with pytest.raises(ConfigError) as error:
        remote.check(given, "data.path")
    assert "password" not in str(error.value).replace("user or password", "")
    assert "token" not in str(error.value)


def test_what_is_an_address():
    assert all(map(remote.is_address, ("s3://b/x", "gs://b", "hf://datasets/a/b", "https://h/x")))
    assert not any(map(remote.is_address, ("photos", "/s3://b", "file:///x", "c://x", "s3:/b")))


def test_versions_are_the_surest_thing_that_is_told():
    assert remote.version_of({"ETag": 'W/"abc"', "Last-Modified": "x"}) == "abc"
    assert remote.version_of({"size": 1, "LastModified": "x"}) == "x"
