"""What values of a run's JSON may be: readers that take what is right and say what is wrong."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from tlcli.errors import ConfigError

Reader = Callable[[Any], Any]
MOST_TEXT = 65536


def wrong(value: Any, wanted: str) -> ValueError:
    """The error for a value that is none of those wanted."""
    shown = repr(value)
    return ValueError(f"is {shown if len(shown) < 60 else shown[:56] + '…'}, and not {wanted}")


def of(kinds: type | tuple[type, ...], wanted: str) -> Reader:
    """Takes values of some types as they are; a bool is no number."""
    known = kinds if isinstance(kinds, tuple) else (kinds,)

    def read(value: Any) -> Any:
        if not isinstance(value, known) or (isinstance(value, bool) and bool not in known):
            raise wrong(value, wanted)
        return value

    return read


def number(low: float = -math.inf, high: float = math.inf, above: bool = False) -> Reader:
    """Takes finite numbers of a range; its lower end is left out where `above`."""
    wanted = _range("a finite number", low, high, above)

    def read(value: Any) -> Any:
        of((int, float), wanted)(value)
        if not (_is_finite(value) and low <= value <= high) or (above and value == low):
            raise wrong(value, wanted)
        return value

    return read


def whole(low: int, high: int) -> Reader:
    """Takes whole numbers of a range."""
    wanted = f"a whole number from {low} to {high}"

    def read(value: Any) -> Any:
        of(int, wanted)(value)
        if not low <= value <= high:
            raise wrong(value, wanted)
        return value

    return read


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _range(what: str, low: float, high: float, above: bool) -> str:
    if low == -math.inf:
        return what
    words = f"a number above {low:g}" if above else f"a number from {low:g}"
    return words if high == math.inf else f"{words} to {high:g}"


def text(value: Any) -> Any:
    """Takes texts."""
    of(str, "a text")(value)
    if len(value) > MOST_TEXT:
        raise wrong(value, f"a text of at most {MOST_TEXT} characters")
    return value


def mapping(value: Any) -> Any:
    """Takes mappings as they are."""
    return of(dict, "a mapping")(value)


def or_none(reader: Reader) -> Reader:
    """Takes None too."""
    return lambda value: None if value is None else reader(value)


def each(reader: Reader) -> Reader:
    """Takes lists; gives a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise wrong(value, "a list")
        return tuple(map(reader, value))

    return read


def by_name(reader: Reader) -> Reader:
    """Takes mappings."""

    def read(value: Any) -> dict[str, Any]:
        return {name: reader(one) for name, one in mapping(value).items()}

    return read


def values_of(
    content: Mapping[str, Any], readers: Mapping[str, Reader], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What known keys of a mapping hold; others are passed over.

    Raises:
        ValueError: A value is wrong or a required key is missing; names the key.
    """
    found = {}
    for name, reader in readers.items():
        if name in content:
            try:
                found[name] = reader(content[name])
            except ConfigError as error:
                raise ValueError(f"{error.where}: {error.problem}") from None
            except ValueError as problem:
                raise ValueError(f"{name} {problem}") from None
        elif name in required:
            raise ValueError(f"lacks {name}")
    return found
