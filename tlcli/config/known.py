"""Whether typed words are keys that a command has, said in the words of whoever typed them."""

import dataclasses
import glob as globbing
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from tlcli.config import settings, words
from tlcli.config.checked import key_of
from tlcli.config.commands import COMMANDS
from tlcli.config.registry import config_root, names
from tlcli.config.train_settings import Train
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest

_KEY = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)


def keys_of(word: str) -> frozenset[str]:
    """Keys and groups of a command."""
    command = COMMANDS[word]
    own = [getattr(settings, command.settings)] if command.settings else []
    classes = [*own, Train] if command.trains else own
    groups = GROUPS if command.trains else (*command.needs, *command.changes)
    fields = (key_of(field.name) for cls in classes for field in dataclasses.fields(cls))
    return frozenset({*groups, *fields})


def places_of(key: str) -> tuple[str, ...]:
    """Dotted keys of all groups whose options have a key of this name."""
    line = re.compile(rf"^{re.escape(key)}:", re.MULTILINE)
    return tuple(
        f"{group}.{key}"
        for group in GROUPS
        if any(line.search(path.read_text(encoding="utf-8"))
               for path in sorted((config_root() / group).glob("*.yaml")))
    )  # fmt: skip


def is_plain(word: str, item: str) -> bool:
    """Whether a word sets no key: it has no `=`, is a file with one, or names a folder."""
    name, equals, place = item.partition("=")
    if not equals or Path(item).is_file() or globbing.glob(item):
        return True
    folder = os.sep in place or Path(place).is_dir()
    return COMMANDS[word].named and name not in keys_of(word) and folder


def check_pair(word: str, item: str) -> tuple[str, str]:
    """Key and value of a word of the form key=value, or ~key.

    Raises:
        ConfigError: It has another form.
    """
    key, equals, value = item.partition("=")
    pair = equals and not value.startswith("=") and not key.startswith("-")
    if key and (pair or item.startswith("~")):
        return key, value
    found = re.fullmatch(r"-*([A-Za-z][\w.]*)\s*(?:==|[:=])?\s*(.*)", item, re.ASCII | re.DOTALL)
    known = found is not None and found[1].split(".")[0] in keys_of(word)
    remedy = f"See tl {word} --help."
    if found and known:
        remedy = f"Write {found[1]}={found[2] or 'VALUE'}, without spaces."
    raise ConfigError(item, "is not key=value", remedy)


def flag_remedy(word: str, item: str, flags: Collection[str]) -> str:
    """What to type in the place of a flag that is none; most are keys elsewhere."""
    name, equals, value = item.lstrip("-").partition("=")
    key, keys = name.replace("-", "_"), keys_of(word)
    places = () if key in keys else _reached(places_of(key), keys)
    told = words.remedy(key, value if equals else "VALUE", keys, places)
    return told if told.startswith(("Write", "Give")) else nearest(item, flags)


def check_typed(word: str, typed: Mapping[str, str]) -> None:
    """Refuse keys that a command lacks, and a group that is given nothing.

    Args:
        word: The command.
        typed: Words as they were typed, by key.

    Raises:
        ConfigError: The first of them, with what to type.
    """
    keys = keys_of(word)
    for given, value in typed.items():
        key = given.lstrip("+~")
        if key.startswith("hydra"):
            continue
        check_key(given, key, value, keys)
        if key in GROUPS and (value in words.NOTHING or value.lower() in ("null", "~")):
            _check_group(key, value)


def check_key(place: str, key: str, value: object, keys: Collection[str]) -> None:
    """Refuse a key that is none.

    Args:
        place: What messages call it.
        key: Dotted.
        value: What it was given.
        keys: Those that there are.

    Raises:
        ConfigError: It is none of them.
    """
    root = key.split(".")[0]
    if root in keys or root in GROUPS:
        return
    if not _KEY.fullmatch(key):
        raise ConfigError(place, "is no name of a key", nearest(key, keys))
    remedy = words.remedy(key, value, keys, _reached(places_of(key), keys))
    raise ConfigError(place, "there is no such key", remedy)


def _reached(places: Collection[str], keys: Collection[str]) -> list[str]:
    return [place for place in places if place.split(".")[0] in keys]


def _check_group(group: str, value: str) -> None:
    """Refuse nothing in the place of an option; some groups have one for it."""
    options = names(group)
    if value in options:
        return
    remedy = f"Write {group}=none." if "none" in options else nearest(value, options)
    raise ConfigError(group, f"got {value}, which is no option", remedy)
