"""`extend=RUN`: a new training that goes on from a finished run's weights, configured like it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcli.config import chain, registry, upgraded
from tlcli.config.recipe import KEYS, PASSING, Recipe, beneath
from tlcli.errors import ConfigError, DataError
from tlcli.system.files import expanded
from tlcli.system.shown import typed as typed_word

# What an ended training did beside itself; a new one is asked for it anew.
BESIDE = ("control", "keep_state", "generations", "assistants")


def extended(config: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """The configuration of the run that is extended, where nothing was typed.

    Its backbone becomes `backbone=run`, which brings the weights of backbone and head.

    Args:
        config: Composed, with `extend`.
        typed: Dotted keys and groups of the command line and its recipe.

    Raises:
        ConfigError: No finished run, or words that would not leave it its weights.
        DataError: Its configuration cannot be read.
    """
    given = str(config["extend"])
    path = expanded(given, "extend")
    if not (path / "config.json").is_file():
        raise ConfigError("extend", f"{given} is no run folder", "Give a folder of tl train.")
    if not (path / "model.weights.h5").is_file():
        remedy = f"Go on with it: tl train resume={typed_word(given)}."
        raise ConfigError("extend", f"{given} is not finished", remedy)
    for key in ("backbone", "auto"):
        if key in typed:
            problem = f"{given} brings its own backbone and configuration"
            raise ConfigError("extend", problem, f"Leave {key} out, or give backbone=run.")
    stored = _read(path / "config.json")
    if int(stored.get("generations") or 1) > 1:
        problem = f"{given} is the best of {stored['generations']} generations"
        raise ConfigError("extend", problem, f"Give one of them, as {given}/generation_1.")
    _, own = chain.stages({"assistants": [], "generations": 1, **stored}, path)
    values = {k: v for k, v in (own or {}).items()
              if k in KEYS and k not in PASSING and k not in BESIDE}  # fmt: skip
    ours = registry.defaults("backbone", "run")
    inner = dict(stored["backbone"])
    values["backbone"] = {
        **ours, "run": given, "config": inner, "batch_norm": inner.get("batch_norm", "frozen"),
    }  # fmt: skip
    name = stored.get("name") or "train"
    return {**beneath(config, Recipe(name, {}, values), typed), "auto": False}


def _read(path: Path) -> dict[str, Any]:
    """A run's configuration in today's form."""
    found = upgraded.stored(path)
    if not isinstance(found.get("backbone"), Mapping):
        raise DataError(str(path), "is no configuration of a training", "Give another run.")
    return found
