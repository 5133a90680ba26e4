"""What of this program and its extras is installed, by its own metadata."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator

from packaging.requirements import Requirement

NAME = "tlcli"
# Extras that no user needs.
ASIDE = ("dev",)


def version_of(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def is_importable(module: str) -> bool:
    """Whether a module is there; it is not imported."""
    return importlib.util.find_spec(module) is not None


def extras() -> dict[str, list[str]]:
    """What each extra of this program lacks, as `pip` would ask for it; empty where it is whole."""
    try:
        metadata = importlib.metadata.metadata(NAME)
    except importlib.metadata.PackageNotFoundError:
        return {}
    names = metadata.get_all("Provides-Extra") or []
    return {extra: lacking(NAME, extra) for extra in names if extra not in ASIDE}


def lacking(name: str, extra: str = "") -> list[str]:
    """Requirements of a distribution, or of an extra of it, that are not there as they must be.

    Args:
        name: The distribution.
        extra: One of its extras, or "" for what it always needs.
    """
    return [told for one in _required(name, extra) if (told := _lack(one))]


def _required(name: str, extra: str) -> Iterator[Requirement]:
    """Requirements of a distribution that count here, those of their own extras too."""
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for one in map(Requirement, lines):
        always = one.marker is None or one.marker.evaluate({"extra": ""})
        wanted = one.marker is None or one.marker.evaluate({"extra": extra})
        if wanted and always == (not extra):
            yield one
            for inner in sorted(one.extras):
                yield from _required(one.name, inner)


def _lack(one: Requirement) -> str:
    """A requirement in words, with the version that is there instead; "" where it is met."""
    there = version_of(one.name)
    if there is None:
        return f"{one.name}{one.specifier}"
    met = one.specifier.contains(there, prereleases=True)
    return "" if met else f"{one.name}{one.specifier} (it is {there})"
