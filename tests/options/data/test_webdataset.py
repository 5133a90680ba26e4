"""Tar shards of pictures: samples, labels, splits; archives that are not whole are named."""

import io
import os
import subprocess
import tarfile

import numpy as np
import pytest

from tests.helpers.packed import manifest, rows_of, write_tar
from tests.helpers.pictures import make_classes
from tests.options.data.test_parquet import check_reads
from tlcli.data.tar import rows as samples
from tlcli.errors import ConfigError, DataError
from tlcli.system.opened import MOST_BYTES


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Nine pictures of two classes."""
    return rows_of(make_classes(tmp_path_factory.mktemp("made"), {"cat": 5, "dog": 4}))


def write_members(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("ending", ["txt", "cls", "json"])
def test_every_sample_is_read_at_random_access(tmp_path, rows, ending):
    names = ["cat", "dog"] if ending == "cls" else None
    write_tar(tmp_path / "train-000.tar", rows[:4], ending, names)
    write_tar(tmp_path / "train-001.tar", rows[4:], ending, names)
    if names:
        (tmp_path / "labels.txt").write_text("cat\ndog\n")
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.ids.tolist() == [name for name, *_ in rows]
    assert found.class_names == ("cat", "dog")
    assert found.labels.tolist() == [0] * 5 + [1] * 4
    check_reads(found, rows)


def test_what_webdataset_writes_is_read(tmp_path, rows):
    webdataset = pytest.importorskip("webdataset")
    path = tmp_path / "train-000000.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for number, (_, data, label) in enumerate(rows):
            key = f"{'long/' * 30}{number:06d}"  # longer than a header's field
            writer.write({"__key__": key, "png": data, "cls": int(label == "dog")})
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.labels.tolist() == [0] * 5 + [1] * 4
    assert found.ids[3] == f"{'long/' * 30}000003.png"
    check_reads(found, rows)


def test_what_tar_writes_is_read(tmp_path, rows):
    folder = tmp_path / "made"
    for name, data, label in rows:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        (folder / name).with_suffix(".txt").write_text(f"{label}\n")
    path = tmp_path / "train.tar"
    subprocess.run(["tar", "--sort=name", "-cf", path, "-C", folder, "."], check=True)
    found = manifest("webdataset", path, tmp_path / "cache")
    assert found.ids.tolist() == [name for name, *_ in rows]
    check_reads(found, rows)


def test_splits_by_braces_and_folders(tmp_path, rows):
    for number in range(3):
        write_tar(tmp_path / "a" / f"train-{number:03d}.tar", rows[3 * number : 3 * number + 3])
    pattern = tmp_path / "a" / "train-{000..001}.tar"
    assert manifest("webdataset", pattern, tmp_path / "cache").ids.tolist() == [
        name for name, *_ in rows[:6]
    ]
    for split, some in (("train", rows[:7]), ("val", rows[7:8]), ("test", rows[8:])):
        write_tar(tmp_path / "b" / split / "0.tar", some)
    found = manifest("webdataset", tmp_path / "b", tmp_path / "cache")
    assert [len(found.rows(split)) for split in range(3)] == [7, 1, 1]


def test_the_same_names_in_two_shards_are_told_apart_by_shard(tmp_path, rows):
    for split in ("train", "test"):
        write_tar(tmp_path / f"{split}.tar", rows)
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.ids[[0, -1]].tolist() == ["test.tar/0", "train.tar/8"]


def test_several_labels_and_none(tmp_path, rows):
    data = rows[0][1]
    write_members(
        tmp_path / "train.tar",
        [("0.png", data), ("0.json", b'{"labels": ["x", "y"]}'), ("1.png", data),
         ("1.json", b'["y"]'), ("2.png", data), ("notes.md", b"text")],
    )  # fmt: skip
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.class_names == ("x", "y")
    assert found.labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    write_members(
        tmp_path / "train.tar",
        [("0.png", data), ("0.cls", b"1\n"), ("1.png", data), ("2.cls", b"0"), ("2.png", data)],
    )
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.labels.tolist() == [1, -1, 0]


def test_names_with_further_dots(tmp_path, rows):
    data = rows[0][1]
    write_members(tmp_path / "train.tar", [
        ("a.v2.png", data), ("a.v2.txt", b"x"), ("b.png", data), ("b.mask.png", b"no"),
        ("b.txt", b"y")])  # fmt: skip
    found = manifest("webdataset", tmp_path, tmp_path / "cache")
    assert found.ids.tolist() == ["a.v2.png", "b.png"]
    assert found.labels.tolist() == [0, 1]
    write_members(tmp_path / "train.tar", [("a.v1.png", data), ("a.v2.png", data)])
    with pytest.raises(DataError, match=r"has a\.v1\.png and a\.v2\.png in one sample"):
        manifest("webdataset", tmp_path, tmp_path / "cache")


def hole(path):
    """Zeros over the header and start of a member in the middle."""
    data = bytearray(path.read_bytes())
    at = data.index(b"cat/3.png")
    data[at : at + 1024] = bytes(1024)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (hole, r"has a hole: nothing from byte [\d,]+ to [\d,]+, and more after it"),
        (lambda path: os.truncate(path, 2000), r"ends within cat/0\.txt|is damaged at byte"),
        (lambda path: os.truncate(path, 512 + 60), r"is damaged at byte|ends within cat/0\.png"),
        (lambda path: os.truncate(path, 2048), r"ends without the mark of its end"),
        (lambda path: path.write_bytes(b"some text" * 200), "is no tar archive|is damaged"),
        (lambda path: path.write_bytes(b""), r"train\.tar: "),
        (
            lambda path: path.write_bytes(b"\x1f\x8b" + path.read_bytes()),
            r"is compressed, so that no picture can be read alone\. Unpack it to a plain \.tar",
        ),
        (lambda path: write_members(path, [("0.png", b"x"), ("0.json", b"{")]),
         r"train\.tar 0\.json: is no UTF-8 text, or no JSON"),
        (lambda path: write_members(path, [("0.png", b"x"), ("0.json", b"[1.5]")]),
         r"has a label that is no number and no text"),
        (lambda path: write_members(path, [("0.png", b"x"), ("0.png", b"y")]), r"is there twice"),
    ],
)  # fmt: skip
def test_archives_that_are_not_whole_are_named(tmp_path, rows, change, message):
    path = tmp_path / "train.tar"
    write_tar(path, rows)
    change(path)
    with pytest.raises(DataError, match=message) as error:
        manifest("webdataset", path, tmp_path / "cache")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_picture_with_a_hole_is_left_out(tmp_path, rows):
    path = tmp_path / "train.tar"
    write_tar(path, rows)
    data = bytearray(path.read_bytes())
    place = list(samples(path))[2]
    data[place.offset : place.offset + len(place.data)] = bytes(len(place.data))
    path.write_bytes(data)
    found = manifest("webdataset", path, tmp_path / "cache", on_error="skip")
    assert [name for name, _ in found.report["skipped"]] == [rows[2][0]]
    assert len(found.ids) == 8


def test_a_picture_that_is_too_large_is_left_out_unread(tmp_path, rows, monkeypatch):
    write_tar(tmp_path / "train.tar", rows)
    most = len(rows[4][1])
    monkeypatch.setitem(MOST_BYTES, "picture", most)
    found = manifest("webdataset", tmp_path, tmp_path / "cache", on_error="skip")
    assert len(found.ids) == sum(len(data) <= most for _, data, _ in rows)
    assert all(f"{most:,} are the most" in why for _, why in found.report["skipped"])


def test_a_shard_that_is_cut_while_it_is_read(tmp_path, rows):
    path = tmp_path / "train.tar"
    write_tar(path, rows)
    found = manifest("webdataset", path, tmp_path / "cache")
    assert found.images.encoded(0) == rows[0][1]
    os.truncate(path, 3000)
    with pytest.raises(DataError, match=r"dog/3\.png: cannot be read: .* is shorter than it was"):
        found.images.encoded(8)


def test_mixed_labels_are_refused(tmp_path, rows):
    write_tar(tmp_path / "train-0.tar", rows[:4])
    write_tar(tmp_path / "train-1.tar", [(n, d, row) for row, (n, d, _) in enumerate(rows[4:])])
    with pytest.raises(DataError, match=r"labels that are numbers and others that are names"):
        manifest("webdataset", tmp_path, tmp_path / "cache")
    with pytest.raises(ConfigError, match=r"there is no \.tar file"):
        manifest("webdataset", tmp_path / "cache", tmp_path / "cache")


def test_nothing_is_written_beside_the_shards(tmp_path, rows):
    path = tmp_path / "set" / "train.tar"
    write_tar(path, rows)
    before = os.stat(path.parent).st_mtime_ns, os.listdir(path.parent)
    found = manifest("webdataset", path.parent, tmp_path / "cache")
    found.images.hashes(np.arange(9))
    assert (os.stat(path.parent).st_mtime_ns, os.listdir(path.parent)) == before
