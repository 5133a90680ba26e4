"""From the words of a command line to a composed configuration, by Hydra."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config import data_words, known, strict_yaml
from tlcli.config import words as wording
from tlcli.config.commands import COMMANDS
from tlcli.config.data_words import quoted
from tlcli.config.recipe import Recipe, beneath, read_recipe
from tlcli.config.registry import (
    OURS,
    config_files,
    config_root,
    names,
    own_config_dir,
    plugin_config_dirs,
)
from tlcli.contracts import GROUPS, SEVERAL
from tlcli.errors import ConfigError, nearest
from tlcli.system.files import expanded

PATH_KEYS = {
    "path", "checkpoint", "run_dir", "resume", "weights", "run", "image_root", "cache_dir",
    "output", "extend", "runs", "file", "preset", "unlabelled", "ids", "config", "class", "audit",
    "exclude", "relabel", "groups", "token_file", "shared", "hosts", "ssh", "python",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A command line, taken apart.

    Attributes:
        word: The command.
        overrides: Hydra overrides, groups first.
        flags: Hydra's own flags with their values; empty for an ordinary run.
        config_dir: Folder of the user's own options, or None.
        recipe: What a recipe adds beneath what was typed, or None.
    """

    word: str
    overrides: tuple[str, ...]
    flags: tuple[str, ...]
    config_dir: Path | None
    recipe: Recipe | None = None

    def whole(self, config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
        """What Hydra composed of some overrides, the recipe put beneath."""
        if self.recipe is None:
            return dict(config)
        return beneath(config, self.recipe, keys_of(overrides))

    def typed(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Dotted keys and groups that overrides or the recipe give; `config` where one is given."""
        given = (*keys_of(overrides), *(("config", *self.recipe.values) if self.recipe else ()))
        # Data by its path is a choice of the whole group.
        return (*given, "data") if "data.name" in given else given


def keys_of(overrides: Iterable[str]) -> tuple[str, ...]:
    """Dotted keys and groups that overrides set, Hydra's own left out."""
    keys = (o.partition("=")[0].lstrip("+~") for o in overrides)
    return tuple(key for key in keys if not key.startswith("hydra"))


def read(word: str, words: list[str]) -> Request:
    """Take a command line apart; recipes become overrides that the command line goes before.

    Raises:
        ConfigError: A word that means nothing, an unknown option, a recipe that is refused.
    """
    flags, rest = _flags(word, words)
    config_dir = _config_dir(flags)
    plain_words: list[str] = []
    if COMMANDS[word].words:
        plain_words, rest = _plain_words(word, rest)
    if plain_words and data_words.takes_data(word):  # the first is the command's, then data
        plain_words, rest = plain_words[:1], [*plain_words[1:], *rest]
    bare = [item for item in rest if data_words.is_bare(word, item)]
    recipe: Recipe | None = None
    typed: dict[str, str] = {}
    for item in (item for item in rest if item not in bare):
        key, value = known.check_pair(word, item)
        if key == "config":
            recipe = read_recipe(value)
        else:
            typed[key] = value
    known.check_typed(word, typed)
    for key in typed.keys() & COMMANDS[word].lists:
        typed[key] = f"[{typed[key]}]" if typed[key][:1].isdigit() else typed[key]
    options = _options("data", config_dir)
    for item in bare:
        key, value = data_words.entered(word, item, typed, options)
        typed[key] = value
    sweep = bool({"-m", "--multirun"} & set(flags))
    recipe = None if recipe is None else recipe.beside(typed)
    typed, recipe, paths = data_words.parted(word, typed, recipe, options, sweep)
    overrides = _merged(recipe, typed, config_dir, sweep, paths)
    if plain_words:
        overrides.append(f"{COMMANDS[word].words}={literal(plain_words)}")
    extra = [f"hydra.searchpath=[{','.join(quoted(f'file://{d}') for d in dirs)}]"
             for dirs in [_search_dirs(config_dir)] if dirs]  # fmt: skip
    return Request(word, tuple(overrides + extra), tuple(flags), config_dir, recipe)


def plain(request: Request) -> dict[str, Any]:
    """The composed configuration of a request, as plain values.

    Raises:
        ConfigError: Hydra refused it.
    """
    from hydra import compose, initialize_config_dir

    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_root())):
            composed = container(compose(COMMANDS[request.word].config, list(request.overrides)))
    except Exception as error:  # words may raise anything in Hydra's grammar
        raise told(error, request) from None
    return request.whole(composed, request.overrides)


def container(config: Any) -> dict[str, Any]:
    """Plain values of a composed configuration, without Hydra's own."""
    from omegaconf import OmegaConf

    values: Any = OmegaConf.to_container(config, resolve=True)
    return {k: v for k, v in values.items() if k != "hydra"}


def _flags(word: str, words: list[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the other words."""
    flags: list[str] = []
    rest: list[str] = []
    index = 0
    while index < len(words):
        item = words[index]
        name, equals, _ = item.partition("=")
        if item == "--":
            return flags, rest + words[index:]
        if name in HYDRA_FLAGS:
            flags.append(item)
            takes = name in FLAGS_WITH_VALUE and not equals
            given = words[index + 1 : index + 2]
            if takes and given and ("=" not in given[0] or name in ("-sc", "--shell-completion")):
                index += 1
                flags.append(words[index])
        elif item.startswith("--"):
            remedy = known.flag_remedy(word, item, HYDRA_FLAGS | {"--help"})
            raise ConfigError(item, "is no flag of tl", remedy)
        else:
            rest.append(item)
        index += 1
    return flags, rest


def _config_dir(flags: list[str]) -> Path | None:
    """Take `--config-dir DIR` out of the flags."""
    for index, item in enumerate(flags):
        name, equals, value = item.partition("=")
        if name in ("--config-dir", "-cd"):
            given = value if equals else "".join(flags[index + 1 : index + 2])
            folder = expanded(given, "--config-dir").resolve()
            if not given or not folder.is_dir():
                raise ConfigError("--config-dir", f"{given!r} is no folder", "Give a folder.")
            del flags[index : index + (1 if equals else 2)]
            return folder
    return None


def _search_dirs(config_dir: Path | None) -> list[Path]:
    own = own_config_dir()
    found = [d for d in (config_dir,) if d] + ([own] if os.path.isdir(own) else [])
    return found + list(plugin_config_dirs())


def _plain_words(word: str, words: list[str]) -> tuple[list[str], list[str]]:
    """Words that set no key, and the others: all after `--`, without `=`, and files with one."""
    found: list[str] = []
    rest: list[str] = []
    for index, item in enumerate(words):
        if item == "--":
            return found + words[index + 1 :], rest
        (found if known.is_plain(word, item) else rest).append(item)
    return found, rest


def _merged(
    recipe: Recipe | None, typed: Mapping[str, str], config_dir: Path | None, sweep: bool,
    paths: Mapping[str, str],
) -> list[str]:  # fmt: skip
    """Overrides in Hydra's grammar; a group chosen on the command line drops the recipe's own."""
    groups: dict[str, str] = {}
    values: dict[str, str] = {}
    if recipe:
        groups |= recipe.groups
    for key, value in typed.items():
        if key.lstrip("+~").startswith("hydra") or key.startswith("~"):
            values[key] = value
        elif key in GROUPS and value not in ("null",) and not value.startswith("{"):
            if key in SEVERAL and value.startswith("["):
                groups[key], inner = SEVERAL[key]
                values[f"{key}.{inner}"] = value
            else:
                groups[key] = value
        else:
            values[key.lstrip("+")] = _value(key, value, sweep)
    values |= paths
    if "teacher.config" in values:
        groups.setdefault("teacher", "recipe")
    for group, option in groups.items():
        _known_option(group, option, config_dir)
    # "++" lets a misspelt key through to our own check, which names the nearest one.
    own = [f"{k if k.lstrip('+~').startswith('hydra') or k[0] == '~' else '++' + k}={v}"
           for k, v in values.items()]  # fmt: skip
    return [f"{g}={o}" for g, o in groups.items()] + [
        o.removesuffix("=") if o.startswith("~") else o for o in own
    ]


def _options(group: str, config_dir: Path | None) -> set[str]:
    """Names of a group's options, those of --config-dir too."""
    own = () if config_dir is None else (config_dir / group).glob("*.yaml")
    return {*names(group), *(path.stem for path in own)}


def _known_option(group: str, option: str, config_dir: Path | None) -> None:
    """Refuse an option that no YAML of the group has."""
    foreign = {name: path for name, (path, origin) in config_files(group).items()
               if origin != OURS}  # fmt: skip
    if config_dir is not None:
        own = {path.stem: path for path in (config_dir / group).glob("*.yaml")}
        foreign = {**own, **foreign}
    known = {*names(group), *foreign}
    for one in map(str.strip, option.split(",")):
        several = one.startswith(("choice(", "glob("))
        if one not in known and not several:
            raise ConfigError(group, f"there is no option {one!r}", nearest(one, known))
        # Hydra would do whatever such a file says of packages and of Hydra itself.
        for name in foreign if several else foreign.keys() & {one}:
            strict_yaml.option_values(foreign[name])


def _value(key: str, value: str, sweep: bool) -> str:
    """Quote what Hydra's grammar would not read as it is: paths above all."""
    if key.split(".")[-1] not in PATH_KEYS or value in ("null", "???"):
        return value if value else "''"
    quoted_or_list = re.fullmatch(r"'[^']*'|\"[^\"]*\"|\[.*\]|\{[^{}]+:.*\}", value)
    several = sweep and re.fullmatch(r"[\w./~-]*,[\w./~,-]*|(choice|glob)\(.*\)", value, re.ASCII)
    return value if quoted_or_list or several else quoted(value)


def literal(value: Any) -> str:
    """A plain value in Hydra's override grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(literal, value)) + "]"
    return quoted(str(value))


def told(error: Exception, request: Request) -> ConfigError:
    """Hydra's complaint in our own form."""
    said = re.sub(
        r"\s*\(See https?://\S+ for details\)|^LexerNoViableAltException: ", "", str(error)
    )
    text, lines = " ".join(said.split()), said.strip().splitlines()
    match = re.search(r"Could not override '([^']+)'", text)
    if match:
        key = match[1]
        return ConfigError(
            key, f"tl {request.word} has no such key", f"See tl {request.word} --help."
        )
    match = re.search(r"Ambiguous value for argument '\+*([^=']+)=(.*?)' \(?\d", text)
    if match:
        return ConfigError(match[1], f"got {match[2]}", wording.several_remedy(match[2]))
    match = re.search(r"full_key: ([\w.]+)", text)
    where = match[1] if match else "configuration"
    cause = f" ({lines[-1].strip()})" if len(lines) > 1 and not match else ""
    first = lines[0][:200].rstrip(".") if lines else type(error).__name__
    return ConfigError(where, first + cause, f"See tl {request.word} --help.")


HYDRA_FLAGS = {
    "-m", "--multirun", "-c", "--cfg", "--info", "-i", "--resolve", "-p", "--package",
    "--hydra-help", "-sc", "--shell-completion", "-cd", "--config-dir",
}  # fmt: skip


FLAGS_WITH_VALUE = {"-c", "--cfg", "-p", "--package", "-cd", "--config-dir", "-sc", "--info", "-i"}
