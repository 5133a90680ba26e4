"""What of a training's configuration is not the default, and the words that repeat it."""

from collections.abc import Mapping
from typing import Any

from tlcli.config import registry, strict_yaml
from tlcli.config.compose import literal
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError
from tlcli.system.shown import typed

# What says where and how a run lay, and nothing of what came of it.
ELSEWHERE = frozenset({"run_dir", "resume", "name", "plan_only", "verbose", "extend", "report",
                       "thumbnails"})  # fmt: skip


def usual() -> tuple[dict[str, str], dict[str, Any]]:
    """The default option of each group, and the defaults of the keys outside the groups."""
    text = (registry.config_root() / "train.yaml").read_text(encoding="utf-8")
    content = strict_yaml.parsed(text, "train.yaml")
    options: dict[str, str] = {}
    for entry in content.pop("defaults"):
        options |= entry if isinstance(entry, Mapping) else {}
    return options, content


def differences(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Dotted keys and values that make the configuration of the defaults, groups first.

    Args:
        config: Of a run, in today's form.
    """
    options, keys = usual()
    found: list[tuple[str, Any]] = []
    for group in GROUPS:
        values = config.get(group) or {}
        name = values.get("name")
        if name != options.get(group):
            found.append((group, name))
        found += [(f"{group}.{key}", value) for key, value in values.items()
                  if key != "name" and value != _defaults(group, name).get(key, ...)]  # fmt: skip
    found += [(key, config[key]) for key, value in keys.items()
              if key in config and key not in ELSEWHERE and config[key] != value]  # fmt: skip
    return found


def command(config: Mapping[str, Any]) -> str:
    """A command line that trains the same again."""
    words = [typed(f"{key}={_value(value)}") for key, value in differences(config)]
    return " ".join(["tl", "train", *words])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else literal(value)


def _defaults(group: str, name: Any) -> dict[str, Any]:
    """Of an option; none where it is of another package that is not here."""
    try:
        return registry.defaults(group, str(name))
    except ConfigError:
        return {}
