"""Patterns of file names."""

import pytest

from tlcli.config.patterns import braces, is_pattern, meant
from tlcli.errors import ConfigError


def test_braces_stand_for_numbers_and_words():
    assert braces("a-{008..011}.tar", "x") == [f"a-{n}.tar" for n in ("008", "009", "010", "011")]
    assert braces("{a,b}/{1..2}", "x") == ["a/1", "a/2", "b/1", "b/2"]
    assert braces("{a}{", "x") == ["{a}{"]
    assert braces("{2..1}", "x") == []


def test_too_many_are_refused_at_once():
    with pytest.raises(ConfigError, match=r"^data\.path: .*stands for more than 100,000 files"):
        braces("{0..999999999999999999}-{0..9}", "data.path")


def test_files_that_are_there(tmp_path):
    for name in ("a-0.tar", "a-1.tar", "{0..1}"):
        (tmp_path / name).write_text("")
    (tmp_path / "a-2.tar").mkdir()
    assert sorted(meant(f"{tmp_path}/a-{{0..5}}.tar", "x")) == [
        str(tmp_path / f"a-{number}.tar") for number in (0, 1)
    ]
    assert len(list(meant(f"{tmp_path}/a*", "x"))) == 2
    assert list(meant(f"{tmp_path}/{{0..1}}", "x")) == [str(tmp_path / "{0..1}")]


@pytest.mark.parametrize(("given", "is_one"), [("a*", True), ("{0..1}", True), ("{a}", False)])
def test_what_is_a_pattern(given, is_one):
    assert is_pattern(given) == is_one
