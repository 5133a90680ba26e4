"""What `tl --help` and `tl COMMAND --help` print."""

from pathlib import Path

from tlcli.config.commands import COMMANDS
from tlcli.contracts import GROUPS


def usage() -> str:
    """What `tl` alone prints."""
    lines = ["Transfer learning and distillation for image classifiers.", "", "Start with:"]
    lines += [f"  {c.example}" for w, c in COMMANDS.items() if w in ("train", "eval", "predict")]
    lines += ["", "`tl train` alone trains on embedded digits.", "", "Commands:"]
    lines += [f"  {word:<14}{command.help}" for word, command in COMMANDS.items()]
    lines += ["", "`tl COMMAND --help` lists a command's keys; `tl list GROUP` its options."]
    return "\n".join(lines) + "\n"


def command_help(word: str) -> str:
    """Help of one command: its YAML is the list of keys, so help shows it."""
    # Here and not above: the registry looks for plug-ins, which takes longer than all of `tl`.
    from tlcli.config.registry import config_root

    command = COMMANDS[word]
    lines = [command.help, "", f"  {command.example}", ""]
    folder = config_root()
    text = (folder / f"{command.config}.yaml").read_text(encoding="utf-8")
    body = text.partition("_self_\n")[2]
    if command.trains:
        lines += ["config=NAME|FILE   a recipe (tl list experiment) or a YAML file of yours", ""]
        lines += ["Groups (group=option picks, group.key=value sets):"]
        lines += [f"  {group:<14} {_options(folder / group)}" for group in GROUPS]
    lines += ["", "Keys, their defaults and meanings:", *(f"  {k}" for k in body.split("\n") if k)]
    if command.trains and command.settings:
        lines += ["", "and every key of tl train (tl train --help)."]
    lines += ["", "Hydra: -m sweeps, --cfg job shows the configuration, --config-dir adds options."]
    return "\n".join(lines) + "\n"


def _options(folder: Path) -> str:
    found = sorted(p.stem for p in folder.glob("*.yaml"))
    shown = ", ".join(found[:8])
    return shown + (f", … ({len(found)})" if len(found) > 8 else "")
