"""A folder that stands for one in a store: bytes come when they are asked for, and stay bounded."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers.runs import environment
from tests.helpers.stores import Web
from tlcli.data.stamps import stamp
from tlcli.errors import ConfigError, DataError
from tlcli.system import remote, remote_cache, remote_files
from tlcli.system.opened import open_regular, read_bytes, read_part
from tlcli.system.remote import StoreError
from tlcli.system.remote_cache import parse_size
from tlcli.system.standing import addressed


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_FRESH", -1.0)


@pytest.fixture
def web(tmp_path):
    root = tmp_path / "served"
    for row in range(6):
        (root / "set" / "a").mkdir(parents=True, exist_ok=True)
        (root / "set" / "a" / f"{row}.bin").write_bytes(bytes([row]) * 1000)
    with Web(root).running() as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    before = list(remote_cache._in_use)
    remote_cache.use(tmp_path / "cache", "1GB")
    yield remote_cache.current()
    remote_cache._in_use[:] = before


def there(cache):
    return sorted(os.path.basename(path) for _, path, _ in cache.room.full())


def fetched(web):
    return [path for method, path, asked in web.asked if method == "GET" and asked]


def test_files_have_sizes_at_once_and_bytes_when_they_are_read(web, cache):
    place = cache.local(f"{web.address}/set", "data.path")
    files = sorted((place / "a").iterdir())
    assert [(path.name, path.stat().st_size) for path in files] == [
        (f"{row}.bin", 1000) for row in range(6)
    ]
    assert fetched(web) == []
    stamps = [stamp(path) for path in files]
    for _ in range(2):
        assert read_bytes(files[2], "picture") == b"\2" * 1000
    assert fetched(web) == ["/set/a/2.bin"]
    assert there(cache) == ["2.bin"]
    assert [stamp(path) for path in files] == stamps  # it is the same object
    assert cache.address(files[2]) == f"{web.address}/set/a/2.bin"
    assert addressed(f"{files[2]}: is odd") == f"{web.address}/set/a/2.bin: is odd"


def test_an_object_that_changed_is_another_file_and_one_that_is_gone_none(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    read_bytes(place / "0.bin", "picture")
    read_bytes(place / "1.bin", "picture")
    before = stamp(place / "0.bin"), stamp(place / "1.bin")
    (web.folder / "set" / "a" / "1.bin").write_bytes(b"new" * 500)
    (web.folder / "set" / "a" / "5.bin").unlink()
    cache.local(f"{web.address}/set", "data.path")
    assert stamp(place / "0.bin") == before[0]
    assert stamp(place / "1.bin") != before[1]
    assert not (place / "5.bin").exists()
    assert read_bytes(place / "1.bin", "picture") == b"new" * 500


def test_an_object_that_changed_since_it_was_listed_is_named(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    (web.folder / "set" / "a" / "1.bin").write_bytes(b"y" * 1000)
    with pytest.raises(DataError, match=r"set/a/1\.bin: is another object than when it was listed"):
        read_bytes(place / "1.bin", "picture")
    (web.folder / "set" / "a" / "2.bin").unlink()
    with pytest.raises(DataError, match=r"set/a/2\.bin: is not there any more"):
        read_bytes(place / "2.bin", "picture")
    assert there(cache) == []
    assert not list(place.glob(".*")), "nothing half-written stays"


def test_a_broken_store_leaves_nothing_half_written(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    web.fault = lambda number, path: "cut"
    with pytest.raises(StoreError, match=r"set/a/3\.bin: cannot be reached"):
        read_bytes(place / "3.bin", "picture")
    assert there(cache) == []
    assert not list(place.glob(".*"))
    web.fault = lambda number, path: None
    assert read_bytes(place / "3.bin", "picture") == b"\3" * 1000


def test_what_was_not_used_for_longest_makes_room(web, cache, monkeypatch):
    cache.room.limit = 3500
    monkeypatch.setattr(remote_cache, "_NOTED", 0.0)
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    for row in (0, 1, 2, 0):
        read_bytes(place / f"{row}.bin", "picture")
    with open_regular(place / "1.bin", "picture") as held:
        for row in (2, 3, 4):
            read_bytes(place / f"{row}.bin", "picture")
        assert held.read() == b"\1" * 1000  # whoever has it open has it
    assert "4.bin" in there(cache)
    assert len(there(cache)) <= 3
    assert read_bytes(place / "0.bin", "picture") == bytes(1000)


def test_parts_of_what_the_cache_cannot_hold_are_read_alone(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    cache.room.limit = 5999
    data, status = read_part(place / "4.bin", "shard", 10, 20)
    assert data == b"\4" * 20
    assert status.st_size == 1000
    assert there(cache) == []
    assert web.asked[-1] == ("GET", "/set/a/4.bin", "bytes=10-29")
    cache.room.limit = 6000
    assert read_part(place / "4.bin", "shard", 10, 20)[0] == b"\4" * 20
    assert there(cache) == ["4.bin"]
    assert read_part(web.folder / "set" / "a" / "4.bin", "shard", 990, 20)[0] == b"\4" * 10


def test_bytes_that_rotted_on_the_disk_are_fetched_again(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    read_bytes(place / "0.bin", "picture")
    try:
        os.getxattr(place / "0.bin", remote_files.SUM)
    except OSError:
        pytest.skip("this disk keeps no attributes")
    times = os.stat(place / "0.bin")
    with open(place / "0.bin", "r+b") as file:
        file.write(b"rot")
    os.utime(place / "0.bin", ns=(times.st_atime_ns, times.st_mtime_ns))
    fresh = remote_cache.RemoteCache(cache.root, cache.room.limit)
    with open(place / "0.bin", "rb") as file:
        fresh.ready(str(place / "0.bin"), file.fileno(), os.fstat(file.fileno()))
        assert file.read() == bytes(1000)


def test_files_that_become_whole_at_once_are_counted_once(web, cache, monkeypatch):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    fetch, together = remote.fetch, threading.Barrier(6)

    def waits(one, number):
        found = fetch(one, number)
        together.wait(20)
        return found

    monkeypatch.setattr(remote, "fetch", waits)
    for _ in range(5):
        (cache.root / ".used").unlink(missing_ok=True)
        threads = [
            threading.Thread(target=read_bytes, args=(place / f"{row}.bin", "picture"))
            for row in range(6)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert (cache.root / ".used").read_text() == "6000"
        for _, path, status in list(cache.room.full()):
            remote_files.stand(Path(path), status.st_size, status.st_mtime_ns)


def test_threads_and_processes_fetch_an_object_once(web, cache):
    place = cache.local(f"{web.address}/set", "data.path") / "a"
    script = (
        "import sys; from pathlib import Path; from tlcli.system import remote_cache, opened\n"
        "remote_cache.use(Path(sys.argv[1]).parent, '1GB')\n"
        "for row in range(6):\n"
        "    path = f'{sys.argv[2]}/{row}.bin'\n"
        "    assert opened.read_bytes(path, 'picture') == bytes([row]) * 1000\n"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(cache.root), str(place)], env=environment()
        )
        for _ in range(2)
    ]
    threads = [
        threading.Thread(target=read_bytes, args=(place / f"{row % 6}.bin", "picture"))
        for row in range(24)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one.wait(60) for one in others] == [0, 0]
    assert sorted(fetched(web)) == [f"/set/a/{row}.bin" for row in range(6)]
    assert (cache.root / ".used").read_text() == "6000"


def test_patterns_stay_and_what_is_not_there_is_named(web, cache):
    found = cache.local(f"{web.address}/set/a/{{0..1}}.bin", "data.path")
    assert found == cache.place(f"{web.address}/set/a") / "{0..1}.bin"
    with pytest.raises(ConfigError, match=r"^data\.path: there is nothing at http://.*/none"):
        cache.local(f"{web.address}/none.bin", "data.path")
    with pytest.raises(DataError, match="is a name that no file can have"):
        cache.place("s3://bucket/../../etc/passwd")


def test_a_disk_without_room_is_told(web, tmp_path):
    (tmp_path / "file").write_text("")
    broken = remote_cache.RemoteCache(tmp_path / "file", 10**9)
    with pytest.raises(StoreError, match=r"the cache of remote data cannot be written"):
        broken.local(f"{web.address}/set", "data.path")


@pytest.mark.parametrize(("text", "size"), [("50GB", 50 * 10**9), ("1.5TB", 15 * 10**11)])
def test_sizes(text, size):
    assert parse_size(text, "remote_cache") == size
    for other in ("50", "50GiB", "-1GB", "0GB", ""):
        with pytest.raises(ConfigError, match=r"^remote_cache: got .* Write a size as 500MB"):
            parse_size(other, "remote_cache")


def test_an_object_is_known_from_its_folder_or_asked_for_alone(web, cache):
    one = f"{web.address}/set/a/3.bin"
    assert read_bytes(cache.known(one, "images"), "picture") == b"\3" * 1000
    assert [method for method, path, _ in web.asked if path == "/set/a/"] == []
    cache.local(f"{web.address}/set", "data.path")
    asked = len(web.asked)
    assert cache.known(f"{web.address}/set/a/4.bin", "images").stat().st_size == 1000
    assert len(web.asked) == asked
    with pytest.raises(ConfigError, match=r"^images: there is nothing at http://.*/b/none\.bin"):
        cache.known(f"{web.address}/b/none.bin", "images")
