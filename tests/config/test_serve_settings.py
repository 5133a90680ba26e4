"""Names of models, and numbers that a server can live with."""

from pathlib import Path

import pytest

from tests.helpers.words import checked
from tlcli.config.known import is_plain
from tlcli.config.serve_settings import clean, parted
from tlcli.errors import ConfigError


def places(*words):
    return checked("serve", *words).settings.places()


def test_a_model_is_called_after_its_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cats & dögs (2)" / "export" / "litert"
    folder.mkdir(parents=True)
    assert clean(folder) == "cats-d-gs-2"
    assert clean(tmp_path / ("x" * 100)) == "x" * 64
    monkeypatch.chdir(folder)
    assert clean(Path(".")) == "cats-d-gs-2"
    assert clean(Path("/")) == "model"


def test_names_are_given_by_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    (tmp_path / "run").mkdir()
    found = places("felis=runs/one", "runs/two", "canis=run", "a=b", "port=0", "top=3")
    assert {name: str(path) for name, path in found.items()} == {
        "felis": "runs/one", "two": "runs/two", "canis": "run", "a-b": "a=b",
    }  # fmt: skip
    assert parted("x=/y=z") == ("x", Path("/y=z"))


def test_a_key_that_is_misspelt_is_no_model():
    assert is_plain("serve", "prot=/tmp")
    assert not is_plain("serve", "port=/tmp")
    assert not is_plain("predict", "felis=runs/one")
    with pytest.raises(ConfigError, match="Did you mean port"):
        checked("serve", "prot=8081")


@pytest.mark.parametrize(
    "word",
    [
        "port=-1", "port=65536", "max_batch=0", "max_batch=5000", "max_delay=-1", "max_delay=11",
        "queue=0", "max_body=0", "max_body=2000", "max_pixels=0", "max_pictures=0",
        "max_pictures=300", "top=0", "timeout=0", "grace=0", "reload=-1", "workers=0",
        "max_delay=nan", "timeout=inf",
    ],
)  # fmt: skip
def test_numbers_have_bounds(word):
    key = word.partition("=")[0]
    with pytest.raises(ConfigError, match=f"^{key}: got"):
        checked("serve", word)


@pytest.mark.parametrize("name", ["-x", "a b", ".", "x" * 65, "é", ""])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ConfigError, match=r"^models: "):
        places(f"{name}=/runs/one")


def test_a_name_is_given_once():
    with pytest.raises(ConfigError, match="two are named one"):
        places("runs/one", "other/one")
