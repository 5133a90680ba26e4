"""Words of a command line, and lines of a recipe, that give data by its path alone.

They become `data.name=path data.path=PATH`; what is there is looked at when all is composed, for
each job of a sweep anew.
"""

import dataclasses
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tlcli.config import settings
from tlcli.config.commands import COMMANDS
from tlcli.config.recipe import KEYS, Recipe
from tlcli.config.registry import defaults
from tlcli.errors import ConfigError
from tlcli.system.files import expanded
from tlcli.system.remote import is_address

# What stands in data.name until the path was looked at; no option is called so.
UNKNOWN = "path"
# The same in a sweep over paths and options.
EITHER = "path or option"
_PATH = re.compile(r"(\.{1,2}|~)?/.*|\.{1,2}|~", re.DOTALL)


def takes_data(word: str) -> bool:
    """Whether a command takes data."""
    command = COMMANDS[word]
    return command.trains or "data" in (*command.needs, *command.changes)


def is_bare(word: str, item: str) -> bool:
    """Whether a word stands for data: no `key=value`, or the name of what is there.

    Args:
        word: The command.
        item: What was typed after it. A name with "=" whose beginning is a key is none: `./a=b`.
    """
    if not takes_data(word) or item.startswith("-"):
        return False
    if is_address(item):
        return True
    if _PATH.fullmatch(item):
        return True
    key, equals, _ = item.partition("=")
    known = {*KEYS, *_own(word), "config", "hydra", ""}
    root = re.split(r"[./]", key.lstrip("+~"))[0]
    if equals:
        return root not in known and exists(item)
    return exists(item) or not (item.startswith("~") or root in known)


def _own(word: str) -> set[str]:
    """A command's own keys."""
    own = COMMANDS[word].settings
    return {field.name for field in dataclasses.fields(getattr(settings, own))} if own else set()


def exists(given: str) -> bool:
    """Whether something is at a path, be it a broken link; an address is not asked for."""
    try:
        return not is_address(given) and os.path.lexists(expanded(given, "data"))
    except (ConfigError, OSError):
        return False


def entered(
    word: str, item: str, typed: Mapping[str, str], options: Collection[str]
) -> tuple[str, str]:
    """The key that a bare word is for, and its value: data, or the run that a command reads.

    The name of an option is one, unless it lacks its path and such a file or folder is there.

    Args:
        word: The command.
        item: What was typed.
        typed: All that was typed with "=".
        options: Names of the group.

    Raises:
        ConfigError: Data was given already.
    """
    if "checkpoint" in {*_own(word)} - {*typed} and exists(os.path.join(item, "config.json")):
        return "checkpoint", item
    if "data" in typed:
        remedy = f"Give one of them; in turn: tl {word} -m data={typed['data']},{item}."
        raise ConfigError("data", f"got {typed['data']!r} and {item!r}", remedy)
    needs_path = item in options and "data.path" not in typed and _lacks_path(item)
    return "data", f"./{item}" if needs_path and exists(item) else item


def _lacks_path(option: str) -> bool:
    try:
        return "???" in defaults("data", option).values()
    except ConfigError:  # an option of --config-dir
        return False


def parted(
    word: str, typed: Mapping[str, str], recipe: Recipe | None, options: Collection[str],
    sweep: bool,
) -> tuple[dict[str, str], Recipe | None, dict[str, str]]:  # fmt: skip
    """What was typed and a recipe without data that is given by its path, and overrides for it.

    Args:
        word: The command.
        typed: What was typed, by key.
        recipe: What is left of a recipe beside that, or None.
        options: Names of the group data.
        sweep: Whether a list stands for several jobs.

    Raises:
        ConfigError: Two paths.
    """
    rest, keys = dict(typed), {key.lstrip("+") for key in typed}
    if "data" in typed:
        paths = _overrides(typed["data"], options, sweep)
        if paths and "data.path" in keys:
            problem = f"got {typed['data']!r}, and data.path too"
            raise ConfigError("data", problem, "Give one of them.")
        return ({k: v for k, v in rest.items() if k != "data"} if paths else rest), recipe, paths
    inner = {} if recipe is None else of_recipe(recipe, options)
    if recipe is not None and "data.path" in inner:
        groups = {group: one for group, one in recipe.groups.items() if group != "data"}
        recipe = replace(recipe, groups=groups, values={**recipe.values, **inner})
    chosen = "data" in (recipe.groups if recipe else ()) or "data.name" in {*keys, *inner}
    own = "data.path" in keys and not chosen and "data" not in COMMANDS[word].changes
    return rest, recipe, {"data.name": UNKNOWN} if own else {}


def of_recipe(recipe: Recipe, options: Collection[str]) -> dict[str, Any]:
    """Values for `data: photos/`, or `data: {path: photos}`; none where a recipe has an option.

    Args:
        recipe: That may give data.
        options: Names of the options of the group data.
    """
    option = recipe.groups.get("data")
    if option in options or "data.name" in recipe.values:
        return {}
    path = option or recipe.values.get("data.path")
    return {"data.name": UNKNOWN, "data.path": path} if path else {}


def _overrides(value: str, options: Collection[str], sweep: bool) -> dict[str, str]:
    """Overrides for `data=VALUE` where it gives paths; none where it names options."""
    if value in (*options, "null", "") or (not exists(value) and value.startswith("{")):
        return {}
    parts = [value]
    if sweep and not exists(value):
        if value.startswith("glob("):
            return {}
        choice = re.fullmatch(r"choice\((.*)\)", value, re.DOTALL)
        parts = _parts(choice[1] if choice else value)
        if set(parts) <= set(options):
            return {}
    elif not exists(value):
        parts = [_unquoted(value)]
    name = EITHER if set(parts) & set(options) else UNKNOWN
    return {"data.name": quoted(name), "data.path": ",".join(map(_literally, parts))}


def _parts(value: str) -> list[str]:
    """A list between commas; one in quotes may hold some."""
    found = re.findall(r"""\s*('[^']*'|"[^"]*"|[^,]*)\s*(?:,|$)""", value)
    return [_unquoted(one.strip()) for one in found if one.strip()]


def _unquoted(value: str) -> str:
    quoted = re.fullmatch(r"(['\"])(.+)\1", value, re.DOTALL)
    return quoted[2] if quoted else value


def _literally(text: str) -> str:
    """A path as Hydra reads it, nothing in it being an interpolation."""
    return quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def quoted(text: str) -> str:
    """A text in quotes as Hydra's grammar reads them."""
    # Hydra reads \' and, only before a quote, \\.
    escaped = re.sub(r"(\\*)'", lambda m: m[1] * 2 + "\\'", text)
    tail = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{escaped[len(escaped) - tail :]}'"
