"""`tl list`: every option of every group, its first line, and the package it comes from."""

import sys

from tlcli.errors import ConfigError
from tlcli.options import GROUPS, config_root, names, nearest, plugin_config_dirs


def run(words: list[str]) -> int:
    """Print the options of the named groups, or of all."""
    known = (*GROUPS, "experiment")
    for word in words:
        if word not in known:
            raise ConfigError("group", f"there is no group {word!r}", nearest(word, known))
    for group in words or known:
        sys.stdout.write(f"{group}\n")
        for name, package in names(group).items():
            origin = "" if package == "tlcli" else f"  [{package}]"
            sys.stdout.write(f"  {name:<24}{_first_line(group, name)}{origin}\n")
    return 0


def _first_line(group: str, name: str) -> str:
    """The comment an option's YAML begins with."""
    for folder in (config_root(), *plugin_config_dirs()):
        path = folder / group / f"{name}.yaml"
        if path.is_file():
            with path.open(encoding="utf-8") as lines:
                first = lines.readline().strip()
            return first.lstrip("# ") if first.startswith("#") else ""
    return ""
