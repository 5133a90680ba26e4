"""Recipes: YAML files that pick options and set keys, read without trusting them.

Hydra never sees such a file: it may choose options of known groups and give plain values, nothing
else. Both ways of writing a choice are read:

    backbone: vgg16                 defaults:
    data: {option: npy, path: d}      - override /backbone: vgg16
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tlcli.config.registry import config_root, defaults, names
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest

MAX_BYTES = 65536
MAX_DEPTH = 20
# Keys of one training's doing and place, not of what it makes.
PASSING = ("resume", "run_dir", "name", "plan_only", "auto")


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


def read_recipe(given: str) -> Recipe:
    """A shipped recipe by name, or a YAML file of the user's.

    Raises:
        ConfigError: No such recipe, or a file that is refused.
    """
    shipped = {p.stem: p for p in (config_root() / "experiment").glob("*.yaml")}
    if given in shipped:
        return parse(shipped[given])
    path = Path(given).expanduser()
    if path.is_file():
        return parse(path)
    if path.suffix in (".yaml", ".yml") or "/" in given:
        raise ConfigError("config", f"there is no file {given}", "Give a YAML file or a recipe.")
    raise ConfigError("config", f"there is no recipe {given!r}", nearest(given, shipped))


def parse(path: Path) -> Recipe:
    """Read one file through the gate.

    Raises:
        ConfigError: Too large, no plain YAML mapping, or asking for what no recipe may.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(str(path), f"is larger than {MAX_BYTES} bytes", "A recipe is short.")
    try:
        text = path.read_text(encoding="utf-8")
        _scan(path, text)
        content = yaml.safe_load(text)
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text", "Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = f"is no YAML: {getattr(error, 'problem', None) or 'unreadable'}"
        raise ConfigError(place, problem, "Mend the file.") from None
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        raise ConfigError(str(path), "is no mapping of keys to values", "Write `key: value` lines.")
    return _recipe(path, content)


def _scan(path: Path, text: str) -> None:
    """Refuse what a recipe has no use for before anything is built from it."""
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        place, kind = f"{path}:{token.start_mark.line + 1}", type(token).__name__
        depth += kind.endswith("StartToken") and "Document" not in kind and "Stream" not in kind
        depth -= kind.endswith("EndToken") and "Document" not in kind and "Stream" not in kind
        if depth > MAX_DEPTH:
            raise ConfigError(place, "is nested too deep", f"Use {MAX_DEPTH} levels at most.")
        if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
            word = kind.removesuffix("Token").lower()
            raise ConfigError(place, f"uses a YAML {word}", "Write plain values only.")


def _recipe(path: Path, content: Mapping[Any, Any]) -> Recipe:
    groups: dict[str, str] = {}
    values: dict[str, Any] = {}
    defaults = content.get("defaults") or []
    if not isinstance(defaults, list):
        raise ConfigError(f"{path}: defaults", f"got {defaults!r}", "Give a list of choices.")
    for entry in defaults:
        group, option = _default(path, entry)
        if group:
            groups[group] = option
    for key, value in content.items():
        if key == "defaults":
            continue
        _gate(path, str(key), key, value)
        if key in GROUPS:
            _group(key, value, groups, values)
        else:
            values[str(key)] = value
    return Recipe(path.stem, groups, values)


def _group(key: str, value: Any, groups: dict[str, str], values: dict[str, Any]) -> None:
    """Enter what a recipe says of one group: an option's name, or keys, or a list of methods."""
    if isinstance(value, str):
        groups[key] = value
    elif isinstance(value, Mapping):
        rest = dict(value)
        if "option" in rest:
            groups[key] = str(rest.pop("option"))
        values |= {f"{key}.{k}": v for k, v in rest.items()}
    elif key == "distillation" and isinstance(value, list):
        groups[key], values["distillation.methods"] = "sum", value
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


def _gate(path: Path, where: str, key: Any, value: Any) -> None:
    """Refuse what could make the program do more than read values."""
    if str(key).startswith("_") or not re.fullmatch(r"[\w. +-]+", str(key)):
        raise ConfigError(f"{path}: {where}", "is no name of a key", "Keys begin with a letter.")
    if str(key).split(".")[0].split("/")[0] == "hydra":
        raise ConfigError(f"{path}: {where}", "sets Hydra itself", "Give it on the command line.")
    if isinstance(value, str) and "${" in value:
        raise ConfigError(f"{path}: {where}", f"has an interpolation {value!r}", "Write the value.")
    if isinstance(value, Mapping):
        for inner, content in value.items():
            _gate(path, f"{where}.{inner}", inner, content)
    if isinstance(value, (list, tuple)):
        for content in value:
            _gate(path, where, "item", content)


def written(config: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    """A recipe that composes into a configuration: what differs from the defaults, as YAML.

    Args:
        config: Composed configuration of a training.
        reasons: Why a value was chosen, by group or dotted key; such values are written even where
            they are the default, with the reason beside them.
    """
    text = (config_root() / "train.yaml").read_text(encoding="utf-8")
    usual = yaml.safe_load(text)
    chosen = {group: option for entry in usual.pop("defaults") if isinstance(entry, Mapping)
              for group, option in entry.items()}  # fmt: skip
    lines = []
    for group in GROUPS:
        lines += _written_group(group, config[group], chosen[group], reasons)
    for key, value in config.items():
        if key in usual and key not in PASSING and (value != usual[key] or key in reasons):
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
