"""Plain values become a dataclass, or a mistake with its place and remedy."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from tlcli.config.checked import build_dataclass
from tlcli.errors import ConfigError


@dataclass(frozen=True)
class Thing:
    rate: float
    count: int
    title: str
    flag: bool
    mode: Literal["a", "b", 3]
    sizes: tuple[int, ...]
    names: tuple[str, ...] | None
    factors: dict[str, float]
    mixed: int | Literal["auto"]
    anything: Any


GOOD = {
    "name": "thing", "rate": 1, "count": 2, "title": "t", "flag": True, "mode": "a",
    "sizes": [1, 2], "names": None, "factors": {"x": 1}, "mixed": "auto", "anything": [None],
}  # fmt: skip


def thing(**changed):
    return build_dataclass(Thing, {**GOOD, **changed}, "thing")


def test_values_come_out_in_the_types_of_the_fields():
    found = thing(count=3.0, names=["u"], mode=3)
    assert (found.rate, type(found.rate)) == (1.0, float)
    assert (found.count, type(found.count)) == (3, int)
    assert found.sizes == (1, 2)
    assert found.names == ("u",)
    assert found.factors == {"x": 1.0}
    assert found.mode == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rate": "abc"}, "thing.rate: got 'abc'. Give a number."),
        ({"rate": True}, "thing.rate: got True. Give a number."),
        ({"rate": float("nan")}, "thing.rate: got nan. Give a number."),
        ({"rate": None}, "thing.rate: got None. Give a number."),
        ({"count": 1.5}, "thing.count: got 1.5. Give a whole number."),
        ({"count": True}, "thing.count: got True. Give a whole number."),
        ({"title": 3}, "thing.title: got 3. Give a text."),
        ({"flag": 1}, "thing.flag: got 1. Give true or false."),
        ({"mode": "c"}, "thing.mode: got 'c'. Choose one of 3, a, b."),
        ({"mode": "3"}, "thing.mode: got '3'. Did you mean 3?"),
        ({"sizes": 3}, "thing.sizes: got 3. Give a list, as [a,b]."),
        ({"sizes": [1, "x"]}, "thing.sizes[1]: got 'x'. Give a whole number."),
        ({"names": [1]}, "thing.names[0]: got 1. Give a text."),
        ({"factors": [1]}, "thing.factors: got [1]. Give a mapping, as {a: 1}."),
        ({"factors": {"x": "y"}}, "thing.factors.x: got 'y'. Give a number."),
        ({"mixed": "aut"}, "thing.mixed: got 'aut'. Give a whole number."),
        ({"ratte": 1}, "thing.ratte: thing has no such option. Did you mean rate?"),
        ({"rate": "???"}, "thing.rate: no value. Give thing.rate=VALUE."),
    ],
)
def test_mistakes_are_told_with_place_and_remedy(changed, message):
    with pytest.raises(ConfigError) as caught:
        thing(**changed)
    assert str(caught.value) == message


def test_a_missing_key_is_told():
    values = {k: v for k, v in GOOD.items() if k != "rate"}
    with pytest.raises(ConfigError, match=r"^thing\.rate: no value"):
        build_dataclass(Thing, values, "thing")


def test_a_top_level_key_may_be_a_misspelt_group():
    with pytest.raises(ConfigError, match=r"^bacbone: there is no such key\. Did you mean backb"):
        build_dataclass(Thing, {**GOOD, "name": None, "bacbone": "x"}, "")
