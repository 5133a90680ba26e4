"""`tl list`: every option of every group, its first line, and where it comes from."""

import sys
from pathlib import Path

from tlcli.config.checking import Checked
from tlcli.config.registry import config_files
from tlcli.config.settings import LISTED, Listing


def run(checked: Checked[Listing, None]) -> int:
    """Print the options of the named groups, or of all."""
    for group in checked.settings.groups or LISTED:
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
