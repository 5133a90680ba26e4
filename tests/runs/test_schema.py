"""What values of a run's JSON may be, and what is said of others."""

import math

import pytest

from tlcli.runs import schema


@pytest.mark.parametrize(
    ("reader", "right", "wrong"),
    [
        (schema.number(), [1, -2.5], [True, "1", math.nan, math.inf, 10**400, None]),
        (schema.number(0, 1, above=True), [1, 0.5], [0, -1, 2]),
        (schema.whole(1, 3), [1, 3], [0, 4, 1.0, True]),
        (schema.text, ["", "a"], [1, "a" * 70_000]),
        (schema.mapping, [{}], [[], None]),
        (schema.or_none(schema.text), [None, "a"], [1]),
    ],
)
def test_readers_take_what_is_right_alone(reader, right, wrong):
    assert [reader(value) for value in right] == right
    for value in wrong:
        with pytest.raises(ValueError, match=r"^is .*, and not "):
            reader(value)


def test_lists_and_mappings_are_read_one_by_one():
    assert schema.each(schema.whole(0, 9))([1, 2]) == (1, 2)
    assert schema.by_name(schema.text)({"a": "b"}) == {"a": "b"}
    for reader, value in ((schema.each(schema.text), "ab"), (schema.by_name(schema.text), [])):
        with pytest.raises(ValueError, match=r"and not a (list|mapping)"):
            reader(value)


def test_known_keys_are_read_others_passed_over_and_the_wrong_one_named():
    readers = {"a": schema.text, "b": schema.whole(0, 9)}
    assert schema.values_of({"a": "x", "c": 1}, readers) == {"a": "x"}
    with pytest.raises(ValueError, match=r"^b is 'x', and not a whole number from 0 to 9$"):
        schema.values_of({"b": "x"}, readers)
    with pytest.raises(ValueError, match=r"^lacks b$"):
        schema.values_of({"a": "x"}, readers, ("b",))
