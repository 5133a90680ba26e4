"""YAML as data and nothing else."""

import pytest

from tlcli.config.strict_yaml import option_values, parsed, scalar
from tlcli.errors import ConfigError


def test_values_are_spelt_as_they_are_meant():
    text = "a: 010\nb: yes\nc: 1e-4\nd: null\ne: 'true'\nf: [true, 1.5, x]\ng: {h: ~}\n"
    assert parsed(text, "x.yaml") == {
        "a": 10, "b": "yes", "c": 1e-4, "d": None, "e": "true", "f": [True, 1.5, "x"],
        "g": {"h": None},
    }  # fmt: skip
    assert parsed("", "x.yaml") == {}
    assert scalar("2024-01-01") == "2024-01-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &b 1\nc: *b\n", r"x\.yaml:1: uses a YAML anchor"),
        ("a: !!python/object:os.system {}\n", r"x\.yaml:1: uses a YAML tag"),
        ("a: 1\nb: 2\na: 3\n", r"x\.yaml:3: has a again, which is in line 1"),
        ("- 1\n", "is no mapping of keys"),
        ("a: [1\n", "is no YAML"),
        ("a: " + "[" * 30 + "]" * 30, "is nested too deep"),
        ("[1]: 2\n", "has a key that is no word"),
    ],
)
def test_what_there_is_no_use_for_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parsed(text, "x.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# @package _global_\na: 1\n", "has a package header"),
        ("defaults: [x]\n", "is no key of an option"),
        ("hydra: {}\n", "is no key of an option"),
        ("a: {trust: true}\n", "trust counts only where a person types it"),
    ],
)
def test_an_option_of_a_stranger_is_its_keys_alone(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        option_values(path)
