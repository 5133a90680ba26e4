"""Ranges that comments of YAML files tell are those that are checked."""

import re

import pytest

from tlcli.config import registry
from tlcli.config.bounds import MOST, USUAL
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError

LINE = re.compile(r"^(\w+): +(\S.*?) +# ([^;\n]*)", re.MULTILINE)
SPAN = re.compile(r"(?<![\w.])(-?\d+) to (\d+)(?![\w.])|> (\d+), <= (\d+)")


def ranges():
    """Option file, key, lowest and highest number of every range that a comment tells as one."""
    for group in GROUPS:
        for path in sorted((registry.config_root() / group).glob("*.yaml")):
            for key, value, told in LINE.findall(path.read_text(encoding="utf-8")):
                found = SPAN.search(told)
                if found and "null" not in value and "[" not in value:
                    low, high, above, most = found.groups()
                    yield group, path.stem, key, low if low else above, high or most


RANGES = sorted({*ranges()})


def built(group, option, **changed):
    values = registry.defaults(group, option)
    lists = {"runs": ["x"]}
    values = {k: lists.get(k, "x") if v == "???" else v for k, v in values.items()}
    return registry.build(group, {**values, **changed})


@pytest.mark.parametrize(("group", "option", "key", "low", "high"), RANGES)
def test_nothing_beyond_a_range_is_taken(group, option, key, low, high):
    for beyond in (int(low) - 1, int(high) + 1):
        with pytest.raises(ConfigError, match=rf"^{group}\.{key}: got "):
            built(group, option, **{key: beyond})


def test_ranges_are_found():
    assert len(RANGES) > 80


@pytest.mark.parametrize(
    "path", sorted(registry.config_root().glob("*.yaml")) + [
        path for group in GROUPS for path in sorted((registry.config_root() / group).glob("*.yaml"))
    ], ids=lambda path: f"{path.parent.name}/{path.stem}",
)  # fmt: skip
def test_a_bounded_number_tells_its_bound(path):
    for key, value, told in LINE.findall(path.read_text(encoding="utf-8")):
        if key in MOST and re.search(r">=? ?\d", told):
            assert re.search(r"\d to \d|<=? ?\d|to start", told), f"{key}: {value}  # {told}"
        for number in map(int, re.findall(r"(?:to|<=) (\d+)", told)):
            assert number <= MOST.get(key, USUAL), f"{key}: {value}  # {told}"
