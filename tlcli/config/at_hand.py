"""What a command line leaves to the data at hand: how it is read, and what fits it.

`data=PATH` becomes an option of the group. Photos get `backbone=auto`, for the small network of the
first example knows digits alone; and where nothing but the data was given, `auto` chooses the rest.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tlcli.config import data_path, registry
from tlcli.config.commands import COMMANDS
from tlcli.config.data_words import EITHER, UNKNOWN, exists
from tlcli.config.recipe import KEYS, PASSING
from tlcli.errors import ConfigError, TlError
from tlcli.system.shown import shown
from tlcli.system.shown import typed as typed_word

# Keys that say where, on what and how long a training keeps things, not what is trained.
ASIDE = (
    *PASSING, "seed", "workers", "hardware", "deterministic", "precision", "jit",
    "cache", "cache_format", "cache_dir", "cache_memory", "remote_cache",
    "save_every", "save_retry", "keep_state", "strict_resume",
)  # fmt: skip
Values = Mapping[str, Any]


def settled(word: str, config: Values, typed: Sequence[str]) -> tuple[Values, tuple[str, ...]]:
    """A configuration in which the data decided what it decides, and lines that say so.

    Args:
        word: The command.
        config: As composed.
        typed: Dotted keys and groups of the command line and its recipe; `config` of a recipe.

    Raises:
        ConfigError: A path that is not there, or can be read in more than one way.
        DataError: It cannot be read.
    """
    if word == "init" and not {"data", "data.name", "data.path"} & {*typed}:
        config, typed = _around(config), (*typed, "data.name", "data.path")
    data = config.get("data")
    if not isinstance(data, Mapping):
        return config, ()
    by_path, lines = data.get("name") in (UNKNOWN, EITHER), []
    if by_path:
        data, line = _read(data, typed)
        config, lines = {**config, "data": data}, [line]
    _check_name(data)
    if not COMMANDS[word].trains or config.get("resume") or config.get("extend"):
        return config, tuple(lines)
    if word == "init" or (word != "teacher" and "path" in data):
        config = _fitted(word, config, typed, by_path)
    return config, tuple(lines)


def _around(config: Values) -> dict[str, Any]:
    """A configuration whose data are what lies in the folder where the command was given.

    Raises:
        ConfigError: Nothing, or more than one data set.
    """
    try:
        data_path.found(".")
    except ConfigError as error:
        remedy = f"{error.remedy} Name the data: tl init NAME PATH."
        raise ConfigError("data", f"no value, and here {error.problem}", remedy) from None
    return {**config, "data": {"name": UNKNOWN, "path": "."}}


def _read(data: Values, typed: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Values of the option that reads what is at the path; those that were typed go before."""
    options, given = registry.names("data"), str(data["path"])
    own = {key: value for key, value in data.items() if key not in ("name", "path")
           and any(f"{one}.".startswith(f"data.{key}.") for one in typed)}  # fmt: skip
    if data["name"] == EITHER and given in options:
        return {**registry.defaults("data", given), **own}, f"data       {given}"
    found = data_path.found(given, options)
    return {**registry.defaults("data", found.option), **own, "path": found.path}, found.line()


def _check_name(data: Values) -> None:
    """Refuse an option without its path where a folder of its name was meant.

    Raises:
        ConfigError: There is one.
    """
    name = str(data.get("name"))
    if data.get("path") == "???" and os.sep not in name and exists(name):
        raise ConfigError(
            "data.path", f"no value; data={name} is an option, and {shown(name)} lies here too",
            f"Type data=./{name} for what lies here, or give data.path=PATH.",
        )  # fmt: skip


def _fitted(word: str, config: Values, typed: Sequence[str], by_path: bool) -> dict[str, Any]:
    """What fits photos where nothing was typed: another backbone, and perhaps all of a recipe."""
    option, found = config["data"]["name"], dict(config)
    if option == "photos" and config["teacher"]["name"] == "none":
        above = _above(str(config["data"]["path"]))
        raise ConfigError(
            "data", f"{config['data']['path']} has photos without labels, and nothing to learn "
            "from them", f"{above}Sort them into a folder for each class, list them in a .csv with "
            "path and label, or give a teacher: teacher=run teacher.path=RUN distillation=kd.",
        )  # fmt: skip
    said = {key.partition(".")[0] for key in typed} & KEYS - {"data"}
    alone = not said - {*ASIDE}
    free = word == "init" or alone or (by_path and "config" not in typed)
    if "auto" not in said and option != "photos" and free:
        found["auto"] = True
    if "path" in config["data"] and not {"backbone", "backbone.name"} & {*typed}:
        own = {key.split(".")[1] for key in typed if key.startswith("backbone.")}
        kept = {key: config["backbone"][key] for key in own if key in config["backbone"]}
        found["backbone"] = {**registry.defaults("backbone", "auto"), **kept}
    return found


def _above(path: str) -> str:
    """What is said of a folder whose class folders hold that of a path; else nothing."""
    parent = os.path.dirname(os.path.abspath(path))
    place = os.path.relpath(parent) if not os.path.isabs(path) else parent
    try:
        found = data_path.found(place)
    except TlError:
        return ""
    one = found.option == "folder" and os.path.abspath(found.path) == parent
    return (
        f"If it is one of the classes in {shown(place)}, type data={typed_word(place)}. "
        if one else ""
    )  # fmt: skip
