"""`tl list`: every option of every group, its first line, and where it comes from."""

import sys
from pathlib import Path

from tlcli.config.registry import config_files
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest


def run(words: list[str]) -> int:
    """Print the options of the named groups, or of all."""
    known = (*GROUPS, "experiment")
    for word in words:
        if word not in known:
            raise ConfigError("group", f"there is no group {word!r}", nearest(word, known))
    for group in words or known:
        sys.stdout.write(f"{group}\n")
        for name, (path, origin) in config_files(group).items():
            shown = "" if origin == "tlcli" else f"  [{origin}]"
            sys.stdout.write(f"  {name:<24}{_first_line(path)}{shown}\n")
    return 0


def _first_line(path: Path) -> str:
    """The comment an option's YAML begins with."""
    with path.open(encoding="utf-8") as lines:
        first = lines.readline().strip()
    return first.lstrip("# ") if first.startswith("#") else ""
