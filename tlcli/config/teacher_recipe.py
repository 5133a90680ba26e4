"""`teacher=recipe`: the training that makes a run's teacher, from a recipe of its own.

The teacher has the data that the run has unless its recipe names others, and the run's seed, which
decides the split: what is a test picture of the one is none that the other learnt from. Where and
on what machine it trains is the run's too; all else is the recipe's, or the default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.config import at_hand, data_words, recipe, registry, strict_yaml
from tlcli.config.recipe import Recipe
from tlcli.errors import ConfigError

NAME = "recipe"
# Keys that are the run's own for its teacher too; a recipe may give others than the seed.
SHARED = (
    "data", "hardware", "seed", "precision", "jit", "deterministic", "cache", "cache_dir",
    "cache_memory", "workers", "save_every", "save_retry", "keep_state", "strict_resume",
    "offline", "verbose", "plan_only", "remote_cache",
)  # fmt: skip
CHAIN = "Train that teacher by itself, and give teacher=run teacher.path=RUN."
# What a teacher's recipe may not ask for, with the reason and the remedy.
REFUSED = {
    **dict.fromkeys(
        ("generations", "assistants", "control"), ("would be a chain within the chain", CHAIN)
    ),
    **dict.fromkeys(
        ("run_dir", "resume", "extend", "plan_only"),
        ("a teacher that is trained first has its place, RUN/teacher", "Leave it out."),
    ),
    "seed": ("the run's seed splits the data, or one's test images would train the other",
             "Leave it out."),
    "hardware": ("the run's devices train its teacher too", "Leave it out."),
}  # fmt: skip


def comes_first(config: Mapping[str, Any]) -> bool:
    """Whether a training begins with that of its teacher."""
    teacher = config.get("teacher")
    return isinstance(teacher, Mapping) and teacher.get("name") == NAME


def settled(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration with what the teacher's recipe says in it, so that no file decides later.

    Args:
        config: Composed, of any training.

    Raises:
        ConfigError: No such recipe, or one that is refused.
    """
    if not comes_first(config):
        return config
    teacher = config["teacher"]
    given = teacher.get("config")
    if teacher.get("content") is not None or not (given is None or isinstance(given, str)):
        return config
    content: dict[str, Any] = {}
    if given is not None:
        path = recipe.recipe_file(given, "teacher.config")
        content = strict_yaml.read(path)
        recipe.of_content(path, content)
    return {**config, "teacher": {**teacher, "content": content}}


def recipe_of(teacher: Mapping[str, Any]) -> Recipe:
    """What the teacher's recipe asks for, its overrides put over it as typed words are.

    Args:
        teacher: Values of the option, settled.

    Raises:
        ConfigError: It asks for what no recipe may.
    """
    below = recipe.of_content(Path(teacher["config"] or "teacher.content"), teacher["content"])
    above = recipe.of_content(Path("teacher.overrides"), teacher["overrides"])
    left = below.beside({*above.groups, *above.values})
    found = Recipe(below.name, {**left.groups, **above.groups}, {**left.values, **above.values})
    by_path = data_words.of_recipe(found, registry.names("data"))
    if not by_path:
        return found
    groups = {group: option for group, option in found.groups.items() if group != "data"}
    return Recipe(found.name, groups, {**found.values, **by_path})


def _refuse(found: Recipe, config: Mapping[str, Any]) -> None:
    """Refuse what would be several trainings, or one elsewhere; what is so anyway may be said."""
    place = config["teacher"]["config"] or "teacher.overrides"
    anyway = {**recipe.usual()[0], "seed": config["seed"], "plan_only": config["plan_only"]}
    for key in (*found.groups, *found.values):
        first = key.partition(".")[0]
        if first in REFUSED and found.values.get(key, ...) != anyway.get(key):
            raise ConfigError(f"{place}: {key}", *REFUSED[first])
    if NAME in (found.groups.get("teacher"), found.values.get("teacher.name")):
        raise ConfigError(f"{place}: teacher", "would be a chain within the chain", CHAIN)


def training(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The teacher's training.

    Args:
        config: Of the run, settled.

    Returns:
        Its configuration, and the dotted keys and groups that are no defaults.

    Raises:
        ConfigError: A recipe that is refused, or that names an option that there is not.
        DataError: Data, given by their path, that cannot be read.
    """
    found = recipe_of(config["teacher"])
    _refuse(found, config)
    values, chosen = recipe.usual()
    options = {**chosen, **found.groups}
    place = config["teacher"]["config"] or "teacher.overrides"
    groups = {group: registry.defaults(group, option, f"{place}: {group}")
              for group, option in options.items()}  # fmt: skip
    shared = {key: config[key] for key in SHARED if key not in found.groups}
    made = recipe.beneath({**values, **groups, **shared}, found, ())
    typed = (*found.groups, *found.values, *(["data"] if "data.name" in found.values else []))
    try:
        fitted, _ = at_hand.settled("train", made, typed)
    except ConfigError as error:
        raise type(error)(f"{place}: {error.where}", error.problem, error.remedy) from None
    return dict(fitted), typed
