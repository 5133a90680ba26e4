"""Patterns of file names: `*` as a shell has it, `{000..010}` and `{a,b}` as of shards."""

import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator

from tlcli.errors import ConfigError
from tlcli.system.shown import shown

_BRACES = re.compile(r"\{([^{}]*)\}")
# Files that braces may stand for.
MOST_FILES = 100_000


def is_pattern(given: str) -> bool:
    """Whether a name may stand for several."""
    found = _BRACES.search(given)
    return glob.has_magic(given) or (found is not None and _alternatives(found[1]) is not None)


def meant(pattern: str, where: str) -> Iterator[str]:
    """Files that a pattern stands for, in no order.

    Args:
        pattern: A path with or without `*` and braces.
        where: Dotted place in the configuration, for messages.

    Raises:
        ConfigError: Braces stand for too many.
    """
    for one in braces(pattern, where):
        if os.path.isfile(one):
            yield one
        elif glob.has_magic(one):
            yield from filter(os.path.isfile, glob.iglob(one, recursive=True))


def braces(pattern: str, where: str) -> list[str]:
    """Patterns without braces that one with them stands for.

    Raises:
        ConfigError: They are too many.
    """
    found = _BRACES.search(pattern)
    parts = None if found is None or os.path.lexists(pattern) else _alternatives(found[1])
    if found is None or parts is None:
        return [pattern]
    made = (pattern[: found.start()] + part + pattern[found.end() :] for part in parts)
    several = itertools.chain.from_iterable(braces(one, where) for one in made)
    some = list(itertools.islice(several, MOST_FILES + 1))
    if len(some) > MOST_FILES:
        problem = f"{shown(pattern)}: stands for more than {MOST_FILES:,} files"
        raise ConfigError(where, problem, "Give a folder, or a shorter range.")
    return some


def _alternatives(inner: str) -> Iterable[str] | None:
    """What one pair of braces stands for; None where it stands for itself."""
    span = re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", inner)
    if span is None:
        return inner.split(",") if "," in inner else None
    first, last = span.groups()
    return (str(one).zfill(len(first)) for one in range(int(first), int(last) + 1))
