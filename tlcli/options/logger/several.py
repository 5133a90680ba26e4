"""Several loggers at once, each behind a queue of its own."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Writer
from tlcli.errors import ConfigError, require
from tlcli.options.logger._common import nothing


@dataclass(frozen=True)
class Logger(logger.Logger):
    """A list of loggers.

    Attributes:
        loggers: Names, or mappings {name: LOGGER, KEY: VALUE, …}; keys left out have the values of
            the logger's YAML. Each logger comes once.
    """

    loggers: tuple[Any, ...]
    label = "several"

    def __post_init__(self) -> None:
        require(len(self.loggers) > 0, "logger.loggers", self.loggers, "Give names, as [csv].")
        require(self.parts, "logger.loggers", self.loggers, "Give names, as [csv].")

    def open(self, begun: Begun) -> Writer:
        """Nothing: the parts are what is opened."""
        return nothing(begun)

    @functools.cached_property
    def parts(self) -> tuple[logger.Logger, ...]:
        """The loggers of the list."""
        found = tuple(one for index, entry in enumerate(self.loggers)
                      for one in _part(f"logger.loggers[{index}]", entry).parts)  # fmt: skip
        labels = [one.label for one in found]
        twice = [label for label in labels if labels.count(label) > 1]
        if twice:
            problem = f"{twice[0]} is there {labels.count(twice[0])} times"
            raise ConfigError("logger.loggers", problem, "Name each logger once.")
        return found


def _part(where: str, entry: Any) -> logger.Logger:
    """The checked logger of one entry, its keys over its YAML's.

    Args:
        where: Its place in the configuration.
        entry: A name or a mapping.

    Raises:
        ConfigError: Unknown logger or key, wrong type or range.
    """
    from tlcli.config import registry

    given = {"name": entry} if isinstance(entry, str) else entry
    named = isinstance(given, Mapping) and isinstance(given.get("name"), str)
    require(named, where, entry, "Give a logger's name, or {name: LOGGER, …}.")
    if given["name"] == "several":
        raise ConfigError(f"{where}.name", "would be a list in the list", "Name single loggers.")
    defaults = registry.defaults("logger", given["name"], f"{where}.name")
    try:
        values = {**defaults, **given, "name": defaults["name"]}
        found: logger.Logger = registry.build("logger", values)
    except ConfigError as error:
        place = where + error.where.removeprefix("logger")
        raise type(error)(place, error.problem, error.remedy) from None
    return found
