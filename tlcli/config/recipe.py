"""Recipes: YAML files that pick options and set keys, read without trusting them.

Hydra never sees such a file: it may choose options of known groups and give plain values to the
keys of a training, nothing else. They are put beneath what was typed when that is composed. Both
ways of writing a choice are read:

    backbone: vgg16                 defaults:
    data: {option: npy, path: d}      - override /backbone: vgg16
"""

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tlcli.config import known, strict_yaml, words
from tlcli.config.registry import config_root, defaults, names
from tlcli.config.train_settings import Train
from tlcli.contracts import GROUPS, SEVERAL
from tlcli.errors import ConfigError, nearest
from tlcli.system.files import expanded

# Keys of one training's doing and place, not of what it makes.
KEYS = frozenset({*GROUPS, *(field.name for field in dataclasses.fields(Train))})
PASSING = ("resume", "extend", "run_dir", "name", "plan_only", "auto", "offline", "time_budget")


@dataclass(frozen=True)
class Recipe:
    """What a file asks for.

    Attributes:
        name: Its stem.
        groups: Chosen option of each group that it chooses.
        values: Dotted key to plain value.
    """

    name: str
    groups: Mapping[str, str]
    values: Mapping[str, Any]

    def beside(self, typed: Collection[str]) -> "Recipe":
        """What is left of it beside typed keys; a typed group drops all that it says of the group.

        Args:
            typed: Dotted keys and groups of the command line.
        """
        groups = {group: option for group, option in self.groups.items() if group not in typed}
        values = {key: value for key, value in self.values.items()
                  if key not in typed and key.partition(".")[0] not in typed}  # fmt: skip
        return Recipe(self.name, groups, values)


def beneath(config: Mapping[str, Any], recipe: Recipe, typed: Sequence[str]) -> dict[str, Any]:
    """A composed configuration with a recipe's values where nothing was typed.

    Args:
        config: Composed of what was typed; groups that the recipe chose are in it.
        recipe: Its values are plain.
        typed: Dotted keys and groups of the command line.
    """
    made = dict(config)
    for place, value in {"name": recipe.name, **recipe.values}.items():
        group, dot, rest = place.partition(".")
        if place in typed:
            continue
        if dot:
            made[group] = _with(made.get(group) or {}, rest.split("."), value)
        else:
            made[place] = value
        for key in typed:
            if key.startswith(f"{place}."):
                first, *inner = key.split(".")
                made[first] = _with(made.get(first) or {}, inner, value_at(config, key))
    return made


def usual() -> tuple[dict[str, Any], dict[str, str]]:
    """Defaults of a training: values outside the groups, and the option of each group."""
    values = yaml.safe_load((config_root() / "train.yaml").read_text(encoding="utf-8"))
    chosen = {group: option for entry in values.pop("defaults") if isinstance(entry, Mapping)
              for group, option in entry.items()}  # fmt: skip
    return values, chosen


def _with(values: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    """A mapping with a value somewhere inside; the given one stays as it is."""
    first, *rest = path
    inner = values.get(first)
    if rest:
        value = _with(inner if isinstance(inner, Mapping) else {}, rest, value)
    return {**values, first: value}


def read_recipe(given: str, where: str = "config") -> Recipe:
    """A shipped recipe by name, or a YAML file of the user's.

    Raises:
        ConfigError: No such recipe, or a file that is refused.
    """
    return parse(recipe_file(given, where))


def recipe_file(given: str, where: str) -> Path:
    """Where a recipe lies.

    Args:
        given: Name of a shipped one, or path of a file.
        where: Key that names it, for messages.

    Raises:
        ConfigError: There is none.
    """
    shipped = {p.stem: p for p in (config_root() / "experiment").glob("*.yaml")}
    if given in shipped:
        return shipped[given]
    path = expanded(given, where)
    if path.is_file():
        return path
    if path.suffix in (".yaml", ".yml") or "/" in given:
        raise ConfigError(where, f"there is no file {given}", "Give a YAML file or a recipe.")
    raise ConfigError(where, f"there is no recipe {given!r}", nearest(given, shipped))


def parse(path: Path) -> Recipe:
    """Read one file by the list of what may be in it.

    Raises:
        ConfigError: Too large, no plain YAML mapping, or asking for what no recipe may.
    """
    return of_content(path, strict_yaml.read(path))


def of_content(path: Path, content: Mapping[str, Any]) -> Recipe:
    """A recipe of what one holds.

    Args:
        path: What messages call it; its stem is the recipe's name.
        content: Plain values.

    Raises:
        ConfigError: It asks for what no recipe may.
    """
    groups = _choices(path, content.get("defaults") or [])
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key == "defaults":
            continue
        _known(path, key, value)
        if key in GROUPS:
            _group(key, value, groups, values)
        else:
            values[key] = value
    strict_yaml.refuse_trust(content, str(path))
    return Recipe(path.stem, groups, values)


def _choices(path: Path, entries: Any) -> dict[str, str]:
    """Options by group of a list of defaults."""
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: defaults", f"got {entries!r}", "Give a list of choices.")
    chosen = (_default(path, entry) for entry in entries)
    return {group: option for group, option in chosen if group}


def _known(path: Path, key: str, value: Any) -> None:
    """Refuse a key that is none of a training's, and values that are more than values.

    Raises:
        ConfigError: The key, or an interpolation.
    """
    group, dot, rest = key.partition(".")
    if dot and group in GROUPS and all(map(strict_yaml.KEY.fullmatch, rest.split("."))):
        _plain(path, key, value)
        return
    if key not in KEYS:
        if not strict_yaml.KEY.fullmatch(key):
            remedy = "Keys are words, as tl train --help lists them."
            raise ConfigError(f"{path}: {key}", "is no name of a key", remedy)
        remedy = words.remedy(key, value, KEYS, known.places_of(key))
        raise ConfigError(f"{path}: {key}", "there is no such key", remedy)
    _plain(path, key, value)


def _plain(path: Path, where: str, value: Any) -> None:
    """Refuse what looks as if it were to be computed.

    Raises:
        ConfigError: An interpolation, or a name of Hydra's.
    """
    if isinstance(value, str) and "${" in value:
        raise ConfigError(f"{path}: {where}", f"has an interpolation {value!r}", "Write the value.")
    if isinstance(value, Mapping):
        for inner, content in value.items():
            if inner.startswith("_"):
                remedy = "Keys begin with a letter."
                raise ConfigError(f"{path}: {where}.{inner}", "is no name of a key", remedy)
            _plain(path, f"{where}.{inner}", content)
    if isinstance(value, list):
        for content in value:
            _plain(path, where, content)


def _group(key: str, value: Any, groups: dict[str, str], values: dict[str, Any]) -> None:
    """Enter what a recipe says of one group: an option's name, or keys, or a list of options."""
    if isinstance(value, str):
        groups[key] = value
    elif isinstance(value, Mapping):
        rest = dict(value)
        if "option" in rest:
            groups[key] = str(rest.pop("option"))
        values |= {f"{key}.{k}": v for k, v in rest.items()}
    elif key in SEVERAL and isinstance(value, list):
        groups[key], inner = SEVERAL[key]
        values[f"{key}.{inner}"] = value
    else:
        values[key] = value


def _default(path: Path, entry: Any) -> tuple[str, str]:
    """Group and option of one line of a defaults list; empty for `_self_`."""
    remedy = f"Write `- override /GROUP: OPTION` with a group of {', '.join(GROUPS)}."
    if entry == "_self_":
        return "", ""
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(f"{path}: defaults", f"got {entry!r}", remedy)
    ((key, option),) = entry.items()
    group = str(key).removeprefix("override ").strip().removeprefix("/")
    plain = isinstance(option, str) and re.fullmatch(r"[\w-]+", option)
    if group not in GROUPS or not plain:
        raise ConfigError(f"{path}: defaults", f"got {key}: {option}", remedy)
    return group, option


def written(config: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    """A recipe that composes into a configuration: what differs from the defaults, as YAML.

    Args:
        config: Composed configuration of a training.
        reasons: Why a value was chosen, by group or dotted key; such values are written even where
            they are the default, with the reason beside them.
    """
    values, chosen = usual()
    lines = []
    # Photos without a word of the backbone would get another one.
    always = ("backbone",) if "path" in config["data"] else ()
    for group in GROUPS:
        usual_option = "" if group in always else chosen[group]
        lines += _written_group(group, config[group], usual_option, reasons)
    for key, value in config.items():
        if key in values and key not in PASSING and (value != values[key] or key in reasons):
            lines.append(_line(key, value, reasons.get(key)))
    return "\n".join(lines) + "\n"


def _written_group(
    group: str, values: Mapping[str, Any], usual: str, reasons: Mapping[str, str]
) -> list[str]:
    """The option of a group that needs the fewest changes, and the changes."""
    found = []
    for option in names(group):
        base = defaults(group, option)
        if base.get("name") == values["name"]:
            changed = {k: v for k, v in values.items() if k not in base or base[k] != v}
            kept = [k for k in values if f"{group}.{k}" in reasons]
            found.append((len(changed), option != usual, option, {*changed, *kept}))
    _, _, option, keys = min(found)
    if option == usual and not keys and group not in reasons:
        return []
    lines = [f"{group}:", "  " + _line("option", option, reasons.get(group))]
    inner = [k for k in values if k in keys]
    return lines + [f"  {_line(k, values[k], reasons.get(f'{group}.{k}'))}" for k in inner]


def _line(key: str, value: Any, reason: str | None) -> str:
    return f"{key}: {shown(value)}" + (f"  # {reason}" if reason else "")


def shown(value: Any) -> str:
    """A plain value as YAML in one line; an option object's values by the name."""
    if isinstance(value, Mapping) and "name" in value:
        value = value["name"]
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def value_at(config: Any, key: str) -> Any:
    """Value at a dotted key, or None."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config
