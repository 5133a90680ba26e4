"""Labels, card and program hold hostile names as text."""

import compileall
from dataclasses import replace

import pytest

from tests.export.test_manifest import folder  # noqa: F401 - a fixture
from tlcli.export import manifest, texts
from tlcli.export.contract import NAMES

HOSTILE = ("<script>alert(1)</script>", "a\nb", "`x` | [y](javascript:1)", "{{ 7*7 }}")


@pytest.fixture
def found(folder):  # noqa: F811
    given = manifest.read(folder)
    proof = {"agreement": 1.0, "images": 10, "difference": 0.0}
    return replace(given, facts=replace(given.facts, class_names=HOSTILE), proof=proof)


def test_each_class_has_one_line(found):
    assert len(texts.labels(found).splitlines()) == len(HOSTILE)


def test_a_card_shows_names_as_they_are(found):
    text = texts.card(found, {"backbone": {"name": "tiny", "weights": None}})
    assert "<script>" not in text
    assert "{{ 7" not in text
    assert "49" not in text.split("Classes")[1].split("\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_python(found, tmp_path, name):
    path = tmp_path / "example.py"
    path.write_text(texts.example(replace(found, format=name)))
    assert compileall.compile_file(path, quiet=1)
    assert max(map(len, path.read_text().splitlines())) <= 100
