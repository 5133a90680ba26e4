"""`tl list`: every option of every group, its first line, and where it comes from."""

import math
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tlcli.config.checking import Checked
from tlcli.config.published import Network, networks
from tlcli.config.registry import config_files
from tlcli.config.settings import LISTED, Listing
from tlcli.errors import DataError
from tlcli.models import weight_cache
from tlcli.system.opened import read_text
from tlcli.system.shown import shown

# What networks are sorted by: ascending.
ORDERS: dict[str, Callable[[Network], Any]] = {
    "name": lambda one: (one.name, one.alpha or 0),
    "top1": lambda one: -one.top1,
    "parameters": lambda one: one.parameters,
    "gflops": lambda one: one.gflops,
    "time": lambda one: one.relative_time or math.inf,
    "pixels": lambda one: one.pixels,
}
WIDTH = 80
HEADER = "  network                 top-1 %  params M  GFLOPs   time  pixels  MB  here"


def run(checked: Checked[Listing, None]) -> int:
    """Print the options of the named groups, or of all."""
    for group in checked.settings.groups or LISTED:
        lines = [group, *(published(checked.settings.sort) if group == "backbone" else ())]
        lines += options(group)
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


def options(group: str) -> Iterator[str]:
    """A line an option; networks that the table has are not told twice."""
    told = {one.name for one in networks()} if group == "backbone" else set()
    for name, (path, origin) in config_files(group).items():
        if name not in told or origin != "tlcli":
            whose = "" if origin == "tlcli" else f"  [{shown(origin)}]"
            line = f"  {shown(name):<24}{_first_line(path)}{whose}"
            yield from textwrap.wrap(line, WIDTH, subsequent_indent=" " * 26) or [line]


def published(order: str) -> Iterator[str]:
    """The table of published networks."""
    here = {(one.name, one.alpha) for one in weight_cache.present() if not one.top}
    yield HEADER
    for one in sorted(networks(), key=ORDERS[order]):
        mark = "*" if (one.name, one.alpha) in here else ""
        size = 4 * one.backbone_parameters / 1e6
        time = "-" if one.relative_time is None else f"{one.relative_time:.2g}"
        yield (
            f"  {one.title:<25}{one.top1:6.1f}{one.parameters / 1e6:10.1f}{one.gflops:8.3g}"
            f"{time:>7}{one.pixels:8d}{size:6.0f}  {mark}"
        ).rstrip()
    yield "  top-1: published accuracy on ImageNet; GFLOPs: of an image at these pixels;"
    yield "  time: of a forward pass on a CPU, MobileNetV2's being 1; MB: to be fetched;"
    yield "  *: the weights are in the cache (tl weights list). Others:"


def _first_line(path: Path) -> str:
    """The comment an option's YAML begins with."""
    try:
        first = read_text(path, "recipe").partition("\n")[0].strip()
    except DataError as error:
        return shown(error.problem)
    return shown(first.lstrip("# ")) if first.startswith("#") else ""
