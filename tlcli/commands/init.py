"""`tl init`: a recipe for the data at hand, with the reason beside each choice, to edit."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob
from tlcli.config.recipe import written
from tlcli.config.registry import config_root
from tlcli.config.settings import Init
from tlcli.errors import ConfigError
from tlcli.system import console, files
from tlcli.system.files import expanded
from tlcli.system.shown import shown, typed
from tlcli.training import auto, auto_backbone, batch_size

# Keys that a person may want next; they stand in the recipe as comments with their defaults.
OFFERED = (
    "seed", "resize", "early_stopping", "sampler", "monitor", "abstain_below", "precision",
)  # fmt: skip


def run(checked: Checked[Init, TrainJob]) -> int:
    """Look at data, network and device, and write the recipe; returns the exit code.

    Raises:
        ConfigError: The file is there, or options that do not fit each other or the data.
        DataError: Data that cannot be read.
        WriteError: The file cannot be written.
    """
    console.start_log(None)
    path = place(checked.settings)
    job = auto_backbone.resolved(checked.job, checked.typed)
    job = batch_size.resolved(job)
    if job.settings.auto:
        job = auto.resolved(job, checked.typed)
    files.make_folder(path.parent)
    files.write_text(path, text_of(path, job.config, job.reasons, checked.said))
    sys.stdout.write(f"{shown(path)}\n")
    console.say(f"next       edit it, then: tl train config={typed(path)}")
    return 0


def place(own: Init) -> Path:
    """The file to be written.

    Raises:
        ConfigError: It is there.
    """
    (name,) = own.recipe
    path = expanded(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml", "recipe")
    if (path.is_symlink() or path.exists()) and not (own.overwrite and path.is_file()):
        remedy = "Give another name, or overwrite=true."
        raise ConfigError("recipe", f"{shown(path)} is there", remedy)
    return path


def text_of(
    path: Path, config: Mapping[str, Any], reasons: Mapping[str, str], said: Sequence[str]
) -> str:
    """The recipe: what was found, what was chosen and why, and what may be set beside it."""
    head = [
        f"Edit this and train by it: tl train config={typed(path)}",
        "Paths begin where the command is given. What a command line says goes before.",
    ]
    found = [" ".join(line.split()) for line in said if line.startswith("found")]
    more = [f"# {line}" for line in offered(config)]
    lines = [
        *(f"# {shown(line)}" for line in (*head, *found)),
        "",
        written(config, reasons),
        "# More to set; tl train --help lists all, tl list the options of a group:",
        *more,
    ]
    return "\n".join(lines) + "\n"


def offered(config: Mapping[str, Any]) -> list[str]:
    """Lines of train.yaml for keys that stand at their defaults."""
    text = (config_root() / "train.yaml").read_text(encoding="utf-8")
    usual = yaml.safe_load(text)
    lines = {line.partition(":")[0]: line for line in text.split("\n") if not line.startswith(" ")}
    return [lines[key] for key in OFFERED if config[key] == usual[key]]
