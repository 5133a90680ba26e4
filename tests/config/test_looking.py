"""A look at a folder: bounded, by names and headers, whatever lies there."""

import os

import pytest
from PIL import Image, features

from tlcli.config import looking
from tlcli.config.looking import look
from tlcli.system import opened

JPEG = b"\xff\xd8\xff\xe0"


def pictures(folder, count=2, name="{}.jpg"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / name.format(number)).write_bytes(JPEG)
    return folder


def test_files_are_told_by_their_names(tmp_path):
    pictures(tmp_path)
    for name in ("a.npz", "b.npy", "c.zip", "d.tar.gz", "e.tfrecord", "f-00000-of-00002", "g.txt",
                 ".hidden.jpg"):  # fmt: skip
        (tmp_path / name).write_bytes(b"")
    found = look(str(tmp_path))
    assert sorted(found.pictures) == ["0.jpg", "1.jpg"]
    assert sorted(found.arrays) == ["a.npz", "b.npy"]
    assert sorted(found.archived) == ["c.zip", "d.tar.gz"]
    assert sorted(found.shards) == ["e.tfrecord", "f-00000-of-00002"]
    assert found.others == ["g.txt"]


def test_pictures_without_an_extension_are_told_by_their_first_bytes(tmp_path):
    pictures(tmp_path / "a", name="{}")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "0").write_bytes(b"text")
    found = look(str(tmp_path))
    assert list(found.folders) == ["a"]
    assert found.bare == ["b"]


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG2000", "PNG", "WEBP", "GIF", "BMP", "JPEG"])
def test_every_format_that_is_read_is_a_picture_by_name_and_by_content(tmp_path, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without")
    endings = {"TIFF": "tiff", "JPEG2000": "jp2"}
    for name in (f"{kind}.{endings.get(kind, kind.lower())}", kind):
        Image.new("RGB", (16, 16)).save(tmp_path / name, kind)
    assert len(look(str(tmp_path)).pictures) == 2


def test_a_picture_s_first_bytes_are_those_that_reading_knows():
    for start in (b"\0\0\0\x18ftypheic", b"\0\0\0\x18ftypavif", b"MM\0*", b"\xff\x4f\xff\x51"):
        assert looking.is_picture(start)
    for start in (b"\0\0\0\x18ftypmp42", b"%PDF", b"PK\x03\x04", b""):
        assert not looking.is_picture(start)


@pytest.mark.parametrize(
    ("name", "text", "is_one"),
    [
        ("a.csv", "path,label\nx.jpg,cat\n", True),
        ("a.csv", "\ufeffLabel; Path ;split\n", True),
        ("a.tsv", "path\tlabel\n", True),
        ("a.csv", "image,class\n", False),
        ("a.csv", "", False),
        ("a.csv", '"path,label\n', False),
        ("a.jsonl", '{"path": "x.jpg", "label": 3}\n', True),
        ("a.jsonl", '{"file": "x.jpg"}\n', False),
    ],
)
def test_a_table_has_the_columns_path_and_label(tmp_path, name, text, is_one):
    (tmp_path / name).write_text(text)
    assert look(str(tmp_path)).tables == ([name] if is_one else [])


def test_pipes_links_to_themselves_and_locked_folders_do_not_stop_a_look(tmp_path):
    pictures(tmp_path / "a")
    os.mkfifo(tmp_path / "labels.csv")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "locked").mkdir(mode=0)
    found = look(str(tmp_path))
    assert found.tables == []
    assert list(found.folders) == ["a"]
    assert sorted(found.folders["a"].pictures) == ["0.jpg", "1.jpg"]


def test_a_look_ends_whatever_there_is(tmp_path, monkeypatch):
    for name, most in (("MOST_NAMES", 20), ("MOST_BELOW", 5), ("MOST_FOLDERS", 30)):
        monkeypatch.setattr(looking, name, most)
    opened_ones = []
    scandir = os.scandir

    def counted(path):
        opened_ones.append(path)
        return scandir(path)

    for number in range(15):
        pictures(tmp_path / f"{number:02}" / "x" / "y" / "z", 10)
    monkeypatch.setattr(os, "scandir", counted)
    found = look(str(tmp_path))
    assert found.holds
    assert len(opened_ones) <= 31
    assert all(len(one.folders["x"].folders["y"].folders["z"].pictures) <= 5
               for one in list(found.folders.values())[:3])  # fmt: skip


def test_depth_is_bounded_too(tmp_path):
    pictures(tmp_path.joinpath(*"abcdefghijklmn"))
    assert not look(str(tmp_path)).holds


def test_no_more_than_a_header_is_read(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("path,label\n" + "x.jpg,cat\n" * 10_000)
    assert len(looking.header(str(path))) == looking.HEADER
    monkeypatch.setitem(opened.MOST_BYTES, "shard", 10)
    assert looking.header(str(path)) == b""


def test_a_run_and_prepared_shards_are_not_looked_into(tmp_path):
    pictures(tmp_path / "run" / "a")
    pictures(tmp_path / "run" / "b")
    for name in ("config.json", "metadata.json"):
        (tmp_path / "run" / name).write_text("{}")
    found = look(str(tmp_path))
    assert found.bare == ["run"]
    assert look(str(tmp_path / "run")).run
