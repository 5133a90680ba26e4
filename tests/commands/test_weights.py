"""`tl weights`: listed, fetched from a server on this machine, checked, put where Keras looks."""

import hashlib

import pytest

from tests.helpers.published import MOBILENET, numbers
from tests.helpers.web import site
from tlcli.cli import main
from tlcli.models import weight_cache


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "keras" / "models"


def tl(capsys, *words):
    code = main.run(["weights", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_list_tells_what_is_there_and_what_a_network_has(place, capsys):
    numbers(place / MOBILENET)
    code, out, _ = tl(capsys, "list")
    assert code == 0
    assert MOBILENET in out
    assert out.startswith(f"{place}: 1 of ")
    code, out, _ = tl(capsys, "list", "mobilenet", "alpha=0.25")
    assert out.count("_tf.h5") == out.count("_no_top.h5") == 4
    assert out.count(", here, ") == 1
    assert max(map(len, out.splitlines())) <= 80


def test_fetch_brings_a_file_from_a_mirror_once(place, tmp_path, capsys):
    content = numbers(tmp_path / MOBILENET).read_bytes()
    with site(**{MOBILENET: content}) as web:
        words = ("fetch", "mobilenet", "alpha=0.25", f"mirror={web.url}/")
        code, out, _ = tl(capsys, *words)
        assert code == 0
        assert hashlib.sha256(content).hexdigest() in out
        code, out, _ = tl(capsys, *words)
        assert "is there" in out
        assert len(web.asked) == 1
        (place / MOBILENET).write_bytes(content[:-9])
        assert tl(capsys, *words)[0] == 0
    assert (place / MOBILENET).read_bytes() == content


def test_fetch_takes_the_name_of_a_file_too(place, tmp_path, capsys):
    content = numbers(tmp_path / MOBILENET).read_bytes()
    with site(**{MOBILENET: content}) as web:
        assert tl(capsys, "fetch", MOBILENET, f"mirror={web.url}")[0] == 0
    assert (place / MOBILENET).is_file()


def test_a_fetch_that_fails_leaves_nothing_in_place(place, capsys):
    with site(**{MOBILENET: b"<html>"}) as web:
        code, out, err = tl(capsys, "fetch", MOBILENET, f"mirror={web.url}")
    assert code == 1
    assert out == ""
    assert err.count("is not mobilenet_2_5_224_tf_no_top.h5") == 1
    assert [path.name for path in place.iterdir()] == [".fetch.lock"]


def test_verify_names_a_file_that_changed(place, capsys):
    numbers(place / MOBILENET)
    code, out, _ = tl(capsys, "verify")
    assert code == 0
    assert "noted now" in out
    numbers(place / MOBILENET, seed=1)
    code, out, _ = tl(capsys, "verify")
    assert code == 1
    assert f"WRONG  {MOBILENET}" in out
    assert "has changed since it came" in out


def test_add_puts_a_file_where_keras_looks(place, tmp_path, capsys):
    given = numbers(tmp_path / MOBILENET)
    code, out, _ = tl(capsys, "add", given)
    assert code == 0
    assert "weights of backbone=mobilenet backbone.alpha=0.25" in out
    assert weight_cache.has("mobilenet", 0.25)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no word. Write tl weights list"),
        (["lost"], "got 'lost'. Write tl weights list"),
        (["fetch"], "Write tl weights list"),
        (["verify", "mobilenet"], "Write tl weights list"),
        (["fetch", "mobilnet"], "Did you mean mobilenet?"),
        (["fetch", "mobilenet", "alpha=0.3"], "mobilenet comes in 0.25, 0.5, 0.75, 1.0"),
        (["fetch", "mobilenet", "mirror=/tmp"], "Give the http address"),
        (["add", "/nowhere/a.h5"], "is missing"),
        (["fetch", "mobilenet", "alhpa=1"], "Did you mean alpha?"),
    ],
)
def test_mistakes_are_told_in_one_line(place, capsys, words, message):
    code, out, err = tl(capsys, *words)
    assert code in (1, 2)
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
