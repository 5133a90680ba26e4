"""Folders written to an address: whole or not promised, of one owner, gone on with after a cut."""

import contextlib
import json
import os
import threading

import pytest

from tests.helpers.stores import bucket, objects, refusing
from tlcli.errors import ConfigError, DataError
from tlcli.runs import remote_claim, remote_copy, remote_folder
from tlcli.runs.claim import LOCK, Lost, myself
from tlcli.runs.remote_folder import folder
from tlcli.system import remote, remote_cache, remote_writing
from tlcli.system.remote import StoreError
from tlcli.system.standing import addressed

ADDRESS = "s3://bucket/run"
OURS = ("config.json",)


@pytest.fixture(autouse=True)
def _quick(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_in_use", [])
    remote_cache.use(tmp_path / "cache", "1GB")


@pytest.fixture
def store(monkeypatch):
    with bucket(monkeypatch) as client:
        yield client


@pytest.fixture
def sent(monkeypatch):
    """Names in the order in which they are sent or removed."""
    names, put, remove = [], remote_writing.put, remote_writing.remove

    def noted_put(path, address):
        found = put(path, address)
        names.append(address.removeprefix(f"{ADDRESS}/"))
        return found

    def noted_remove(address):
        if not address.endswith(LOCK):
            names.append(f"-{address.removeprefix(f'{ADDRESS}/')}")
        remove(address)

    monkeypatch.setattr(remote_writing, "put", noted_put)
    monkeypatch.setattr(remote_writing, "remove", noted_remove)
    return names


def used(work=lambda one: None, address=ADDRESS):
    """Do some work in a folder."""
    with folder(address, "run_dir", OURS) as one:
        work(one)
    return one


def write(path, *names, text=""):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text or name)


def test_promises_come_last_and_nothing_stays_behind(store, sent):
    with folder(ADDRESS, "run_dir", OURS) as one:
        assert objects(store) == {"run/run.lock"}
        write(one.path, "state/0000000007.json", "model.weights.h5", "state/0000000007.npz")
        write(one.path, "config.json", "control/model.weights.h5", ".new.model.weights.h5", LOCK)
        assert addressed(f"{one.path}/a b") == f"{ADDRESS}/a b"
    first, rest = set(sent[:2]), sent[2:]
    assert first == {"config.json", "state/0000000007.npz"}
    assert rest[0] == "state/0000000007.json"
    assert set(rest[1:]) == {"model.weights.h5", "control/model.weights.h5"}
    assert objects(store) == {f"run/{name}" for name in sent}
    assert not one.path.parent.exists()


def test_what_is_replaced_is_promised_no_more_meanwhile(store, sent):
    with folder(ADDRESS, "run_dir", OURS) as one:
        write(one.path, "config.json", "model.weights.h5", "old.txt", "same.txt")
    sent.clear()
    with folder(ADDRESS, "run_dir", OURS) as one:
        assert (one.path / "same.txt").read_text() == "same.txt"
        write(one.path, "model.weights.h5", "config.json", text="new")
        (one.path / "old.txt").unlink()
    assert sent == ["-model.weights.h5", "config.json", "model.weights.h5", "-old.txt"]
    body = store.get_object(Bucket="bucket", Key="run/model.weights.h5")["Body"].read()
    assert body == b"new"


def test_a_state_goes_only_when_a_later_one_is_whole(store, sent):
    with folder(ADDRESS, "run_dir", OURS) as one:
        write(one.path, "config.json", "state/1.npz", "state/1.json")
        one.send()
        sent.clear()
        write(one.path, "state/2.npz", "state/2.json")
        for name in ("1.npz", "1.json"):
            (one.path / "state" / name).unlink()
        one.send()
    assert sent == ["state/2.npz", "state/2.json", "-state/1.json", "-state/1.npz"]


def test_what_is_there_of_others_is_refused(store):
    store.put_object(Bucket="bucket", Key="run/cat.jpg", Body=b"cat")
    with pytest.raises(ConfigError, match=r"^run_dir: s3://bucket/run holds other files"):
        used()
    assert objects(store) == {"run/cat.jpg"}


@pytest.mark.parametrize(("address", "message"), [
    ("https://host/run", r"run_dir: nothing can be written to https://\. Give a path"),
    ("hf://datasets/a/b", "nothing can be written to hf://"),
    ("s3://bucket", "s3://bucket is a whole bucket"),
    ("s3://key:secret@bucket/run", "holds a user or password")])  # fmt: skip
def test_what_cannot_be_written_is_refused_before_anything(address, message):
    with pytest.raises(ConfigError, match=message):
        used(address=address)


def test_a_bucket_that_is_not_there_or_denies_is_named(store, monkeypatch):
    with pytest.raises(DataError, match=r"there is no s3://none\. Make it"):
        used(address="s3://none/run")
    told = r"run\.lock: may not be written .* Give credentials"
    with refusing(monkeypatch, 403) as count, pytest.raises(DataError, match=told):
        used()
    assert count() == 1


def test_of_two_that_start_at_once_one_is_refused(store):
    barrier, results = threading.Barrier(8), []

    def start():
        barrier.wait()
        try:
            results.append(remote_claim.claimed(f"{ADDRESS}/{LOCK}", ADDRESS, "run_dir"))
        except ConfigError as error:
            results.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    owners = [one for one in results if not isinstance(one, str)]
    assert len(owners) == 1
    refused = [one for one in results if isinstance(one, str)]
    assert all(f"{ADDRESS} is in use by process {os.getpid()} on" in one for one in refused)
    owners[0].release()
    assert objects(store) == set()


def left(store, **facts):
    content = json.dumps({**myself(), **facts}).encode()
    store.put_object(Bucket="bucket", Key=f"run/{LOCK}", Body=content)


def test_what_a_killed_owner_left_is_taken_over(store, monkeypatch, capsys):
    left(store, pid=2**22 + 1)
    used()
    left(store, host="another")
    with pytest.raises(ConfigError, match=r"on another.* remove s3://bucket/run/run\.lock or wait"):
        used()
    monkeypatch.setattr(remote_claim, "STALE", -1e6)
    used()


def test_an_owner_that_was_taken_over_writes_no_more(store):
    def work(one):
        write(one.path, "config.json")
        left(store, host="another")

    with pytest.raises(Lost, match=r"s3://bucket/run: was taken over"):
        used(work)
    assert objects(store) == {f"run/{LOCK}"}


def test_a_claim_is_kept_fresh(store, monkeypatch):
    monkeypatch.setattr(remote_claim, "FRESH", 0.01)
    written = threading.Event()
    replace = remote_writing.replace
    monkeypatch.setattr(remote_writing, "replace", lambda *a: (replace(*a), written.set()))
    claim = remote_claim.claimed(f"{ADDRESS}/{LOCK}", ADDRESS, "run_dir")
    assert written.wait(10)
    claim.check()
    claim.release()


def half_sent(monkeypatch):
    """A folder of which two files were sent and two could not be; gives it and what was told."""
    folders = []

    def work(one):
        folders.append(one)
        write(one.path, "config.json", "a.txt")
        one.send()
        write(one.path, "b.txt", "model.weights.h5")
        refused.enter_context(refusing(monkeypatch, 503, "b.txt"))

    refusal = pytest.raises(StoreError, match=r"cannot be reached .*is whole: run in the folder ")
    with contextlib.ExitStack() as refused, refusal as told:
        used(work)
    return folders[0], str(told.value)


def test_what_could_not_be_sent_is_kept_and_sent_by_the_next_start(store, sent, monkeypatch):
    one, told = half_sent(monkeypatch)
    assert str(one.path.parent) in told
    assert objects(store) == {"run/config.json", "run/a.txt"}
    sent.clear()
    assert used().path == one.path
    assert sent == ["b.txt", "model.weights.h5"]
    assert not one.path.parent.exists()


def test_what_was_sent_and_not_noted_is_known_by_its_content(store, monkeypatch):
    folders = []

    def work(one):
        folders.append(one)
        write(one.path, "config.json", "a.txt")
        one.send()

    with monkeypatch.context() as patch:
        patch.setattr(remote_folder.RemoteFolder, "_note", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            used(work)
    assert "run/config.json" in objects(store)
    assert (folders[0].path / "a.txt").is_file()
    used(lambda one: write(one.path, "b.txt"))
    assert objects(store) == {"run/config.json", "run/a.txt", "run/b.txt"}


def test_what_others_wrote_meanwhile_is_not_mixed_with_what_was_not_sent(store, monkeypatch):
    one, _ = half_sent(monkeypatch)
    store.put_object(Bucket="bucket", Key="run/config.json", Body=b"of another machine")
    with pytest.raises(ConfigError, match=r"was changed by others, and .* holds 2 files"):
        used()
    assert (one.path / "b.txt").read_text() == "b.txt"


def test_a_copy_that_is_not_the_newest_is_fetched_anew(store):
    with folder(ADDRESS, "run_dir", OURS) as one:
        write(one.path, "config.json", "with space/ü.txt")
    with folder(ADDRESS, "run_dir", OURS) as one:
        assert (one.path / "with space" / "ü.txt").read_text() == "with space/ü.txt"
        store.put_object(Bucket="bucket", Key="run/other.txt", Body=b"other")
    with folder(ADDRESS, "run_dir", OURS) as one:
        assert (one.path / "other.txt").read_text() == "other"


def test_workers_share_a_folder_and_one_of_them_sends(store, tmp_path):
    with folder(ADDRESS, "output", OURS, True, tmp_path / "shared") as mine:
        with folder(ADDRESS, "output", OURS, False, tmp_path / "shared") as theirs:
            assert theirs.path == mine.path
            write(theirs.path, "config.json")
        assert objects(store) == {f"run/{LOCK}"}
    assert objects(store) == {"run/config.json"}
    assert remote_copy.place_of(ADDRESS) != mine.path
