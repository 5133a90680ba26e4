"""The workers that share a command's rows, as its words name them."""

from pathlib import Path
from typing import Any

from tlcli.config.checking import Checked
from tlcli.contracts.hardware import Hardware
from tlcli.errors import ConfigError
from tlcli.export import manifest
from tlcli.system import files
from tlcli.system.crew import ALONE, Crew
from tlcli.system.files import expanded


def crew_of(checked: Checked[Any, None], computes: bool = True) -> Crew:
    """This worker among all; one alone where `hardware` names no others.

    Args:
        checked: Of a command with a key `shared`.
        computes: Whether it runs a network here, so that its devices are to be set up.

    Raises:
        ConfigError: There are others, and no folder that all of them see.
    """
    option: Hardware | None = checked.options.get("hardware")
    if option is None:
        return ALONE
    rank, size = option.place()
    if computes:
        option.settle()
    given = checked.settings.shared
    if size == 1:
        return ALONE
    if given is None:
        raise ConfigError(
            "shared", f"no value, and there are {size} workers",
            "Give a folder that all of them see: shared=FOLDER; tl launch makes one.",
        )  # fmt: skip
    return Crew(expanded(given, "shared"), rank, size)


def identity(folder: Path) -> str:
    """Hash of the file that names the hashes of all others of a run or export."""
    name = manifest.FILE if manifest.is_export(folder) else "metadata.json"
    return files.sha256(folder / name)
