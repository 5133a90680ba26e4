"""Turn a config group's values into its checked option object.

An option is a module `tlcli.options.<group>.<name>` with one frozen dataclass named like the group
(`Backbone`, `Optimizer`, …). The dataclass fields are the schema: YAML gives all of them and none
more. Types are checked here, ranges in the class's `__post_init__`.
"""

import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tlcli.config import strict_yaml
from tlcli.config.checked import build_dataclass
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, DataError, nearest
from tlcli.system.opened import reason

# The package itself: options are its modules, and in a wheel configs lie within.
PACKAGE = Path(__file__).parents[1]

OURS = "tlcli"

log = logging.getLogger(__name__)


def config_root() -> Path:
    """Folder of the shipped YAML files, in a wheel or in a checkout."""
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


@functools.cache
def _entry_points() -> dict[str, list[importlib.metadata.EntryPoint]]:
    """What installed packages add to each group; read once, for a scan takes milliseconds."""
    try:
        every = _all_entry_points()
    except Exception:  # one package's file, which may hold anything, must not hide the others
        every = _readable_entry_points()
    return {
        group: [entry for entry in every if entry.group == f"tlcli.{group}"] for group in GROUPS
    }


def _all_entry_points() -> list[importlib.metadata.EntryPoint]:
    groups = importlib.metadata.entry_points()
    return [entry for group in GROUPS for entry in groups.select(group=f"tlcli.{group}")]


def _readable_entry_points() -> list[importlib.metadata.EntryPoint]:
    """Entry points of the packages whose file of them can be read, each package once."""
    found: list[importlib.metadata.EntryPoint] = []
    seen: set[str] = set()
    for package in importlib.metadata.distributions():
        name = package.name
        if name in seen:
            continue
        seen.add(name)
        try:
            found += package.entry_points
        except Exception as error:
            log.warning("plug-ins: entry_points.txt of %s is left out (%s)", name, reason(error))
    return found


def package_of(entry: importlib.metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution that an entry point belongs to."""
    assert entry.dist is not None
    return entry.dist.name, entry.dist.version


def plugins(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Options that installed packages add through entry points `tlcli.<group>`, by name.

    Raises:
        ConfigError: Two packages add one of the same name.
    """
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in _entry_points()[group]:
        if entry.name in found:
            both = " and ".join(" ".join(package_of(e)) for e in (found[entry.name], entry))
            raise ConfigError(group, f"{both} both add {entry.name!r}", "Uninstall one of them.")
        found[entry.name] = entry
    return found


def plugin_config_dirs() -> dict[Path, str]:
    """Folders `configs` in the packages of plug-ins, and who they are; nothing is imported."""
    found: dict[Path, str] = {}
    for group in GROUPS:
        for entry in plugins(group).values():
            spec = importlib.util.find_spec(entry.module.partition(".")[0])
            for place in (spec.submodule_search_locations or []) if spec else []:
                folder = Path(place) / "configs"
                if folder.is_dir():
                    found.setdefault(folder, " ".join(package_of(entry)))
    return found


def own_config_dir() -> Path:
    """Folder of the user's own YAML files; it need not be there."""
    # Of Path, expanduser raises where a user has no home, as many in containers have none.
    return Path(os.path.expanduser("~/.config/tl"))


def config_files(group: str) -> dict[str, tuple[Path, str]]:
    """YAML files of a group by option, each with where it comes from; ours go first."""
    found: dict[str, tuple[Path, str]] = {}
    folders = {config_root(): OURS, own_config_dir(): "~/.config/tl", **plugin_config_dirs()}
    for folder, origin in folders.items():
        # A home that this user may not look into is as one without such files.
        if not os.path.isdir(folder / group):
            continue
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, (path, origin))
    return dict(sorted(found.items()))


def names(group: str) -> dict[str, str]:
    """Options of a group as YAML files, with where each comes from."""
    return {name: origin for name, (_, origin) in config_files(group).items()}


def _modules(group: str) -> set[str]:
    """Options of a group that are modules of ours."""
    return {p.stem for p in (PACKAGE / "options" / group).glob("[!_]*.py")}


def option_class(group: str, name: str) -> type:
    """The dataclass that a group's option `name:` stands for.

    Raises:
        ConfigError: No such module in the group.
    """
    where = f"{group}.name"
    class_name = group.capitalize()
    known = _modules(group)
    if isinstance(name, str) and name in known:
        return typing.cast(
            "type", getattr(importlib.import_module(f"tlcli.options.{group}.{name}"), class_name)
        )
    extra = plugins(group)
    if isinstance(name, str) and name in extra:
        return _loaded(extra[name], where, class_name)
    raise ConfigError(where, f"no {group} is called {name!r}", nearest(str(name), [*known, *extra]))


def defaults(group: str, name: str, where: str = "") -> dict[str, Any]:
    """Values of an option's YAML, plain.

    Args:
        group: One of GROUPS.
        name: Of the YAML file.
        where: Dotted place of the name, for messages; the group's own where it is left out.

    Raises:
        ConfigError: No such file.
    """
    from omegaconf import OmegaConf

    known = config_files(group)
    if name not in known:
        problem = f"no {group} is called {name!r}"
        raise ConfigError(where or f"{group}.name", problem, nearest(str(name), known))
    path, origin = known[name]
    if origin != OURS:
        return strict_yaml.option_values(path)
    return typing.cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(path)))


def overridden(
    group: str, values: Mapping[str, Any], changes: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """A group's values with some changed; another `name` starts from that option's YAML.

    Args:
        group: One of GROUPS.
        values: As composed.
        changes: Keys of the option, perhaps its name.
        where: Dotted place of the changes, for messages.

    Raises:
        ConfigError: What `build` refuses, told at that place.
    """
    base = dict(values)
    if changes.get("name", values["name"]) != values["name"]:
        base = defaults(group, changes["name"], f"{where}.name")
        changes = {k: v for k, v in changes.items() if k != "name"}
    found = {**base, **changes}
    try:
        build(group, found)
    except ConfigError as error:
        place = where + error.where.removeprefix(group)
        raise type(error)(place, error.problem, error.remedy) from None
    return found


def _loaded(entry: importlib.metadata.EntryPoint, where: str, class_name: str) -> type:
    """The dataclass that an installed package registered."""
    package = " ".join(package_of(entry))
    try:
        found = entry.load()
    except Exception as error:  # a stranger's module may raise anything when it is imported
        raise ConfigError(
            where,
            f"{entry.name} of {package} cannot be loaded ({type(error).__name__}: {reason(error)})",
            "Install what the package needs, or another version of it.",
        ) from error  # fmt: skip
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        problem = f"{entry.value} of {package} is no dataclass"
        raise ConfigError(where, problem, f"Register a frozen dataclass {class_name}.")
    contract = contract_of(class_name.lower())
    if not getattr(contract, "_is_protocol", False) and not issubclass(found, contract):
        name = f"{contract.__module__}.{contract.__name__}"
        raise ConfigError(
            where,
            f"{entry.value} of {package} is no {contract.__name__}",
            f"Let it subclass {name}.",
        )
    return found


def contract_of(group: str) -> type:
    """What the options of a group subclass, or a Protocol that they fit."""
    name = {"data": "DataSource", "distillation": "Method"}.get(group, group.capitalize())
    module = importlib.import_module(f"tlcli.contracts.{group}")
    return typing.cast("type", getattr(module, name))


def plugins_used(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """Options of a configuration that come from installed packages, for the checkpoint.

    Returns:
        Of each its group, option, package and version.
    """
    return [
        {"group": group, "option": name, "package": package, "version": version}
        for group in GROUPS
        for name in sorted(_names_in(config.get(group)) & set(plugins(group)) - _modules(group))
        for package, version in [package_of(plugins(group)[name])]
    ]


def _names_in(values: Any) -> set[str]:
    """Values of all keys `name`, those of nested options included."""
    if isinstance(values, Mapping):
        own = {values["name"]} if isinstance(values.get("name"), str) else set()
        return own.union(*map(_names_in, values.values()))
    if isinstance(values, (list, tuple)):
        return set().union(*map(_names_in, values))
    return set()


def require_plugins(recorded: Any, groups: Iterable[str], where: str) -> None:
    """Refuse a checkpoint whose options come from a package that is missing here.

    Args:
        recorded: What `plugins_used` gave when it was written, or None.
        groups: Those that are needed.
        where: The checkpoint.

    Raises:
        DataError: A package is not installed.
    """
    for one in recorded or ():
        group, name, package, version = (
            str(one[key]) for key in ("group", "option", "package", "version")
        )
        if group in groups and name not in plugins(group):
            raise DataError(
                where, f"uses {group}={name} of the package {package} {version}, which is not "
                "installed", f"Install it: pip install {package}=={version}.",
            )  # fmt: skip


def build(group: str, values: Mapping[str, Any]) -> Any:
    """The checked option object of a group.

    Args:
        group: One of GROUPS.
        values: Its keys as composed, `name` included.

    Raises:
        ConfigError: Unknown option or key, missing value, wrong type or range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(group, f"got {values!r}", f"Give an option: {group}=NAME.")
    if "name" not in values:
        raise ConfigError(f"{group}.name", "no value", f"Give {group}=NAME.")
    return build_dataclass(option_class(group, values["name"]), values, group)
