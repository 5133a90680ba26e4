"""Published weights in the cache: found, checked, fetched from this machine, put there."""

import dataclasses
import hashlib
import re

import pytest

from tests.helpers.published import MOBILENET, numbers
from tests.helpers.web import site
from tlcli.config import published
from tlcli.config.published import files_of, weight_files
from tlcli.errors import ConfigError, DataError
from tlcli.models import weight_cache
from tlcli.system import console, files
from tlcli.system.download import offline

WANTED = files_of("mobilenet", 0.25, False, 128)


def nothing(*_):
    pass


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "keras" / "models"


@pytest.fixture
def hashed(monkeypatch, tmp_path):
    """A file of VGG16 whose right hash is that of a small file: its facts, and that content."""
    content = numbers(tmp_path / "content.h5", 10).read_bytes()
    one = files_of("vgg16", None, False, 224)[0]
    facts = dataclasses.replace(one, hash=hashlib.md5(content, usedforsecurity=False).hexdigest())
    monkeypatch.setitem(weight_files(), one.file, facts)
    return facts, content


def test_the_folder_is_where_keras_looks(place, monkeypatch, tmp_path):
    assert weight_cache.folder() == place
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert weight_cache.folder() == tmp_path / ".keras" / "models"


def test_what_is_there_is_found_by_its_name(place):
    assert weight_cache.present() == []
    numbers(place / MOBILENET)
    (place / "mine.h5").write_text("")
    assert [one.file for one in weight_cache.present()] == [MOBILENET]


def test_the_exact_file_is_taken_before_others(place):
    for one in WANTED:
        numbers(place / one.file)
    assert weight_cache.ready(WANTED) == WANTED[0]


def test_a_file_of_other_pixels_serves_where_nothing_can_be_fetched(place):
    numbers(place / MOBILENET)
    with offline(True):
        assert weight_cache.ready(WANTED).file == MOBILENET


def test_what_serves_is_told_and_nothing_is_said_to_be_fetched_that_is_not(place, capsys):
    console.start_log(None)
    numbers(place / MOBILENET)
    with site() as web:  # it answers, and has no such file
        away = dataclasses.replace(WANTED[0], url=f"{web.url}/{WANTED[0].file}")
        assert weight_cache.ready((away, *WANTED[1:])).file == MOBILENET
    said = " ".join(capsys.readouterr().err.split())
    assert "fetching" not in said
    assert f"{MOBILENET} serves instead of {WANTED[0].file}: cannot fetch http" in said
    assert "404" in said
    (place / WANTED[0].file).write_text("<html>")
    with offline(True):
        assert weight_cache.ready(WANTED).file == MOBILENET
    said = " ".join(capsys.readouterr().err.split())
    assert f"instead of {WANTED[0].file}: that cannot be read (" in said
    assert "offline=true" in said


def test_a_file_is_said_to_be_fetched_once_it_comes(place, hashed, capsys):
    console.start_log(None)
    one, content = hashed
    with site(**{one.file: content}) as web:
        weight_cache.fetch(one, nothing, f"{web.url}/{one.file}")
    assert capsys.readouterr().err.count(f"fetching {one.file}") == 1


def test_a_missing_file_is_told_at_once_with_all_that_helps(place):
    one = files_of("efficientnet_v2_b0", None, False, 224)
    numbers(place / MOBILENET)
    with offline(True), pytest.raises(ConfigError) as caught:
        weight_cache.ready(one)
    message = str(caught.value)
    assert message.count("\n") == 0
    for part in (
        "backbone.weights: ", str(place / "efficientnetv2-b0_notop.h5"), "24.3 MB",
        "md5 893217f2bb855e2983157299931e43ff", "offline=true",
        "tl weights fetch efficientnetv2-b0_notop.h5", "tl weights add FILE",
        "backbone.weights=none", "backbone=mobilenet backbone.alpha=0.25 has its weights here",
    ):  # fmt: skip
        assert part in message


def test_a_damaged_file_is_never_used(place, hashed):
    one, content = hashed
    numbers(place / one.file, 10, seed=1)
    with offline(True), pytest.raises(ConfigError, match=r"cannot be used: it has the md5 \w{32},"):
        weight_cache.ready((one,))
    with site(**{one.file: content}) as web:
        fresh = dataclasses.replace(one, url=f"{web.url}/{one.file}")
        assert weight_cache.ready((fresh,)) == fresh
    assert (place / one.file).read_bytes() == content


def test_a_file_without_a_hash_must_hold_the_network_and_stay_what_it_was(place):
    one = weight_files()[MOBILENET]
    path = numbers(place / MOBILENET, one.parameters - 1)
    assert weight_cache.problem(one, path) == "holds 218,543 numbers, and the network 218,544"
    assert weight_cache.problem(one, numbers(path, 475_545)).startswith("holds 475,545")
    assert weight_cache.problem(one, numbers(path, 475_544)) == ""  # its classes are in it too
    path.write_bytes(b"<html>not found</html>")
    assert weight_cache.problem(one, path).startswith("cannot be read (")
    numbers(path)
    assert weight_cache.report(one).problem == ""
    numbers(path, seed=1)
    assert re.match(r"has changed since it came, its sha256 was \w{64}$",
                    weight_cache.problem(one, path))  # fmt: skip
    assert weight_cache.report(one).problem


def test_a_fetched_file_is_noted_and_a_wrong_one_refused(place, hashed):
    one, content = hashed
    with site(**{one.file: content}) as web:
        path = weight_cache.fetch(one, nothing, f"{web.url}/{one.file}")
        assert weight_cache.report(one).sha256 == hashlib.sha256(content).hexdigest()
        web.content[f"/{one.file}"] = content + b"more"
        with pytest.raises(DataError, match=f"is not {re.escape(one.file)}: it has the md5"):
            weight_cache.fetch(one, nothing, f"{web.url}/{one.file}")
    assert path.read_bytes() == content


def test_an_added_file_is_told_by_its_hash_whatever_its_name(place, hashed, tmp_path):
    one, content = hashed
    given = tmp_path / "vgg (1).h5"
    given.write_bytes(content)
    assert weight_cache.add(given, overwrite=False) == (one, place / one.file)
    assert (place / one.file).read_bytes() == content
    assert weight_cache.add(place / one.file, overwrite=False)[1] == place / one.file


def test_an_added_file_without_a_hash_is_told_by_name_and_content(place, tmp_path):
    given = numbers(tmp_path / MOBILENET)
    weight_cache.add(given, overwrite=False)
    assert files.sha256(place / MOBILENET) == files.sha256(given)
    other = numbers(tmp_path / "b" / MOBILENET, seed=1)
    with pytest.raises(ConfigError, match=r"another .* is there\. Give overwrite=true"):
        weight_cache.add(other, overwrite=False)
    weight_cache.add(other, overwrite=True)
    assert files.sha256(place / MOBILENET) == files.sha256(other)
    assert weight_cache.report(weight_files()[MOBILENET]).problem == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("strange.h5", b"\x89HDF", "neither the content nor the name"),
        (MOBILENET, b"\x89HDF", "is not mobilenet_2_5_224_tf_no_top.h5: it cannot be read"),
        ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", b"\x89HDF", "it has the md5"),
    ],
)
def test_what_is_no_published_file_is_not_added(place, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        weight_cache.add(tmp_path / name, overwrite=False)
    assert not place.exists()


def test_pipes_folders_and_missing_files_are_refused(place, tmp_path):
    import os

    os.mkfifo(tmp_path / MOBILENET)
    for given in (tmp_path / MOBILENET, tmp_path, tmp_path / "missing.h5"):
        with pytest.raises(DataError):
            weight_cache.add(given, overwrite=False)


def test_notes_that_are_broken_are_told(place, tmp_path):
    one = weight_files()[MOBILENET]
    numbers(place / MOBILENET)
    (tmp_path / "cache" / "tl").mkdir(parents=True)
    (tmp_path / "cache" / "tl" / "weights.json").write_text("{")
    assert "Remove it" in weight_cache.problem(one, place / MOBILENET)


def test_every_network_s_files_can_be_looked_up():
    for one in published.weight_files().values():
        assert one in files_of(one.name, one.alpha, one.top, one.pixels)
