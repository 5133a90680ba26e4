"""Frozen dataclasses from plain values, each checked against its annotation."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from tlcli.config import words
from tlcli.config.bounds import check_number
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest


def build_dataclass(cls: type, values: Mapping[str, Any], where: str) -> Any:
    """A frozen dataclass from plain values, each checked against its annotation.

    Raises:
        ConfigError: Unknown key, missing value, wrong type or range.
    """
    fields = {key_of(f.name): f for f in dataclasses.fields(cls)}
    hints = {key_of(name): hint for name, hint in typing.get_type_hints(cls).items()}
    given = {k: v for k, v in values.items() if k != "name" or "name" in fields}
    for key in given:
        if key not in fields:
            raise ConfigError(
                f"{where}.{key}" if where else str(key),
                f"{values.get('name') or where} has no such option"
                if where
                else "there is no such key",
                words.inner_remedy(str(key), given[key], where, fields)
                if where
                else nearest(str(key), {*fields, *GROUPS}),
            )
    checked = {}
    for key in fields:
        place = f"{where}.{key}" if where else key
        if key not in given or given[key] == "???":
            raise ConfigError(place, "no value", f"Give {place}=VALUE.")
        checked[fields[key].name] = _checked(given[key], hints[key], place)
    return cls(**checked)


def key_of(field: str) -> str:
    """The key that a field is for; one that is a word of Python, as class, has a stroke behind."""
    return field.removesuffix("_")


def check_types(cls: type, values: Mapping[str, Any]) -> None:
    """Check those keys of a stored configuration that a dataclass knows.

    Raises:
        ConfigError: A value of another type.
    """
    hints = typing.get_type_hints(cls)
    for key in hints.keys() & values.keys():
        _checked(values[key], hints[key], key)


def _checked(value: Any, hint: Any, where: str) -> Any:
    """The value as the annotation wants it, or a ConfigError."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _checked_union(value, typing.get_args(hint), where)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise ConfigError(where, f"got {value!r}", nearest(str(value), map(str, choices)))
        return value
    if origin in (tuple, list):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(where, f"got {value!r}", "Give a list, as [a,b].")
        inner = typing.get_args(hint)[0]
        return tuple(_checked(v, inner, f"{where}[{i}]") for i, v in enumerate(value))
    if origin in (dict, Mapping) or (origin and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise ConfigError(where, f"got {value!r}", "Give a mapping, as {a: 1}.")
        inner = typing.get_args(hint)[1]
        # Names that look like numbers, as the class 5, come as numbers.
        return {str(k): _checked(v, inner, f"{where}.{k}") for k, v in value.items()}
    return _checked_scalar(value, hint, where)


def _checked_union(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    problem: ConfigError | None = None
    if isinstance(value, str) and value in words.NOTHING and _lacks(hints, value):
        raise ConfigError(where, f"got {value!r}", f"Write {where}=null.")
    for hint in hints:
        if hint is type(None):
            if value is None:
                return None
            continue
        try:
            return _checked(value, hint, where)
        except ConfigError as error:
            problem = problem or error
    if problem and type(None) in hints and problem.problem == f"got {value!r}":
        remedy = f"{problem.remedy.removesuffix('.')}, or null."
        problem = ConfigError(problem.where, problem.problem, remedy)
    raise problem or ConfigError(where, f"got {value!r}", "Give null.")


def _lacks(hints: tuple[Any, ...], word: str) -> bool:
    """Whether one may leave a value out, and a word is not one of its choices."""
    choices = [typing.get_args(h) for h in hints if typing.get_origin(h) is typing.Literal]
    return type(None) in hints and all(word not in some for some in choices)


def _checked_scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and math.isnan(value):
            raise ConfigError(where, "got nan", "Give a number.")
        check_number(value, where)
        return float(value)
    if hint is int and isinstance(value, (int, float)) and not isinstance(value, bool):
        check_number(value, where)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    kinds = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    remedy = f"Give {kinds.get(hint, hint.__name__)}."
    if hint in (int, float):
        remedy = words.number_remedy(value, remedy)
    raise ConfigError(where, f"got {value!r}", remedy)
