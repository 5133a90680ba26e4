"""A cache on a disk that is full or cannot be written is told once; the training goes on."""

import errno
import os
import subprocess

import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.runs import same_weights, train_digits
from tlcli.distill.store import Store
from tlcli.models.frozen import table_file

KD = ("finetune=linear_probe", "distillation=kd", "teacher=run", "teacher.minimum_accuracy=0",
      "hardware=cpu", "batch_size=8", "image_size=16", "calibrate=false")  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Words of a training by a teacher on files."""
    folder = tmp_path_factory.mktemp("full")
    photos = make_classes(folder / "photos", {"a": 24, "b": 24})
    data = ("data=folder", f"data.path={photos}")
    teacher = train_digits(folder / "teacher", *data, "image_size=16")
    return (*data, *KD, f"teacher.path={teacher}")


@pytest.fixture(scope="module")
def usual(words, tmp_path_factory):
    """The run of these words with a cache."""
    folder = tmp_path_factory.mktemp("usual")
    return train_digits(folder / "run", *words, f"cache_dir={folder / 'cache'}")


def told(text, cache):
    return [line for line in text.splitlines() if f"cache: {cache}" in line]


def refuse(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_cache_that_cannot_be_made(words, usual, tmp_path, capfd):
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "cache"
    run = train_digits(tmp_path / "run", *words, f"cache_dir={cache}")
    (line,) = told(capfd.readouterr().err, cache)
    assert line.endswith("cannot be written (Not a directory); it is done without")
    same_weights(usual, run, atol=1e-5)


@pytest.mark.parametrize("cache_format", ["auto", "float16"])
def test_a_disk_that_fills_up_in_the_middle(words, tmp_path, capfd, monkeypatch, cache_format):
    monkeypatch.setattr(table_file._Growing, "add", refuse)
    monkeypatch.setattr(Store, "write_block", refuse)
    cache = tmp_path / "cache"
    words = (*words, f"cache_format={cache_format}", f"cache_dir={cache}")
    train_digits(tmp_path / "run", *words)
    (line,) = told(capfd.readouterr().err, cache)
    assert line.endswith("cannot be written (No space left on device); it is done without")
    assert not list((cache / "tables").iterdir())


def test_tables_that_are_wanted_on_disk_are_computed_at_each_use(words, usual, tmp_path, capfd,
                                                                monkeypatch):  # fmt: skip
    monkeypatch.setattr(table_file._Growing, "add", refuse)
    run = train_digits(tmp_path / "run", *words, "cache=disk", f"cache_dir={tmp_path / 'cache'}")
    assert len(told(capfd.readouterr().err, tmp_path / "cache")) == 1
    same_weights(usual, run, atol=1e-4)


def test_a_teachers_own_folder_that_cannot_be_written_is_refused(words, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Exception, match=r"teacher\.cache: .* cannot be written \(Not a directory"):
        train_digits(tmp_path / "run", *words, f"teacher.cache={tmp_path / 'file' / 'store'}")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("only root can mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("spare", [None, 0])
def test_a_disk_that_is_full(words, usual, tmp_path, small_disk, capfd, monkeypatch, spare):
    if spare is not None:  # nothing is spared: it is tried until the disk refuses
        monkeypatch.setattr("tlcli.system.files.check_room", lambda *_: None)
    (small_disk / "filler").write_bytes(b"x" * 60_000)
    run = train_digits(tmp_path / "run", *words, f"cache_dir={small_disk / 'cache'}")
    assert len(told(capfd.readouterr().err, small_disk / "cache")) == 1
    assert not list((small_disk / "cache").glob("*/.new-*"))
    same_weights(usual, run, atol=1e-5)
