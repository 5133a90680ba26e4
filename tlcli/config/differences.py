"""What of a training's configuration is not the default, and the words that repeat it."""

import contextlib
import functools
from collections.abc import Mapping
from typing import Any

from tlcli.config import registry
from tlcli.config.compose import literal
from tlcli.config.recipe import usual
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError
from tlcli.system.shown import typed

# What says where and how a run lay, and nothing of what came of it.
ELSEWHERE = frozenset({"run_dir", "resume", "name", "plan_only", "verbose", "extend", "report",
                       "thumbnails"})  # fmt: skip
# What lets values be chosen that the configuration then holds.
CHOOSING = frozenset({"auto", "time_budget"})


def differences(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Dotted keys and values that make the configuration of the defaults, groups first.

    Args:
        config: Of a run, in today's form.
    """
    keys, options = usual()
    found: list[tuple[str, Any]] = []
    for group in GROUPS:
        values = config.get(group) or {}
        option, changed = option_of(group, values)
        if option != options.get(group):
            found.append((group, option))
        found += [(f"{group}.{key}", value) for key, value in changed.items()]
    found += [(key, config[key]) for key, value in keys.items()
              if key in config and key not in ELSEWHERE and config[key] != value]  # fmt: skip
    return found


def option_of(group: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The option whose file gives a group's values with the fewest changes, and those.

    Several files may share a module, as those of published networks do; a file of another package
    that is not here leaves the module's name and every value.
    """
    own = {key: value for key, value in values.items() if key != "name"}
    found = [(str(values.get("name")), own)]
    for option, usual_ones in _files(group).items():
        if usual_ones.get("name") == values.get("name"):
            changed = {k: v for k, v in own.items() if v != usual_ones.get(k, ...)}
            found.append((option, changed))
    known = found[1:] or found
    return min(known, key=lambda one: (len(one[1]), one[0] != values.get("name")))


def command(config: Mapping[str, Any]) -> str:
    """A command line that trains the same again; what was chosen for it is typed."""
    words = [typed(f"{k}={_value(v)}") for k, v in differences(config) if k not in CHOOSING]
    return " ".join(["tl", "train", *words])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else literal(value)


@functools.cache
def _files(group: str) -> dict[str, dict[str, Any]]:
    """Values of every option's YAML; what cannot be read is left out."""
    found = {}
    for option in registry.names(group):
        with contextlib.suppress(ConfigError):
            found[option] = registry.defaults(group, option)
    return found
