"""Objects arrive as they were sent, or it is told; of several that make one, one does."""

import pytest
from moto.s3.responses import S3Response

from tests.helpers.stores import bucket, objects
from tlcli.errors import DataError
from tlcli.system import remote, remote_cache, remote_writing
from tlcli.system.remote import StoreError, info_of


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_in_use", [])
    remote_cache.use(tmp_path / "cache", "1GB")
    with bucket(monkeypatch) as client:
        yield client


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789" * 100)
    return path


@pytest.mark.parametrize("parts", [False, True])
def test_a_file_arrives(store, tmp_path, monkeypatch, parts):
    monkeypatch.setattr(remote_writing, "PART", 5 << 20)
    path = tmp_path / "large.bin"
    path.write_bytes(b"0123456789" * (1_200_000 if parts else 1000))
    status, one = remote_writing.put(path, "s3://bucket/x/a b.bin")
    assert (status.st_size, one) == (path.stat().st_size, info_of("s3://bucket/x/a b.bin"))
    assert one.version.endswith("-3") == parts
    body = store.get_object(Bucket="bucket", Key="x/a b.bin")["Body"].read()
    assert body == path.read_bytes()
    assert remote_writing.matches(path, one)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert not remote_writing.matches(path, one)


def altered(monkeypatch, change):
    """Let the store keep something else than it is sent."""
    put = S3Response.put_object

    def other(self):
        self.body = change(self.body)
        return put(self)

    monkeypatch.setattr(S3Response, "put_object", other)


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: b"x" + body[1:]])
def test_what_did_not_arrive_as_it_was_sent_is_told(file, monkeypatch, change):
    altered(monkeypatch, change)
    with pytest.raises(
        StoreError, match=r"a\.bin: cannot be reached \((what is there|Expected checksum)"
    ):
        remote_writing.put(file, "s3://bucket/a.bin")


def test_a_store_whose_tag_is_no_sum_is_read_again(file, monkeypatch):
    monkeypatch.setattr(remote_writing, "_etag", lambda *_: "another")
    _, one = remote_writing.put(file, "s3://bucket/a.bin")
    assert one.size == 1000


def test_only_one_makes_an_object(store):
    assert remote_writing.create("s3://bucket/lock", b"first")
    assert remote_writing.create("s3://bucket/lock", b"first")  # whose answer may have been lost
    assert not remote_writing.create("s3://bucket/lock", b"second")
    assert remote_writing.content_of("s3://bucket/lock") == b"first"
    assert 0 <= remote_writing.age("s3://bucket/lock") < 600
    for _ in range(2):
        remote_writing.remove("s3://bucket/lock")
    assert objects(store) == set()
    with pytest.raises(DataError, match=r"there is no s3://none"):
        remote_writing.create("s3://none/lock", b"first")
