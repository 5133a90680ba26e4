"""The command `tl`: from words to a checked configuration to one command's `run`.

Imports no TensorFlow. Hydra composes; a plain dictionary leaves this module.
"""

import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tlcli import __version__, memory
from tlcli.errors import ConfigError, TlError


@dataclass(frozen=True)
class Command:
    """One word after `tl`.

    Attributes:
        module: Where its `run(config)` lives.
        help: First line of its help.
        example: A line to copy.
        schema: "train"; the name of its class in tlcli.settings; or "train+" and that name for a
            command that takes all of `tl train` and keys of its own (its YAML names train.yaml in
            its defaults).
        config: Its primary YAML.
        needs_tensorflow: Whether it is imported before the command runs.
    """

    module: str
    help: str
    example: str
    schema: str
    config: str
    needs_tensorflow: bool = True


COMMANDS = {
    "train": Command(
        "tlcli.train", "Transfer a pretrained network to new classes.",
        "tl train data=folder data.path=photos backbone=mobilenet", "train", "train",
    ),
    "eval": Command(
        "tlcli.evaluate", "Measure a checkpoint.", "tl eval checkpoint=RUN", "Eval", "eval",
    ),
    "predict": Command(
        "tlcli.predict", "Name what pictures show.", "tl predict photo.jpg checkpoint=RUN",
        "Predict", "predict",
    ),
    "compare": Command(
        "tlcli.compare", "Put several runs into one table.", "tl compare runs/sweep/TIME",
        "Compare", "compare", needs_tensorflow=False,
    ),
    "teacher": Command(
        "tlcli.verify", "Recompute stored teacher outputs and compare.",
        "tl teacher verify checkpoint=RUN", "verify", "teacher",
    ),
    "prepare": Command(
        "tlcli.prepare", "Pack many pictures into shards that trainings start from in seconds.",
        "tl prepare data=folder data.path=photos output=shards", "Prepare", "prepare",
    ),
    "preview": Command(
        "tlcli.preview", "Show the training images as the network will see them.",
        "tl preview data=folder data.path=photos augmentation=standard", "train+Preview", "preview",
    ),
    "bench": Command(
        "tlcli.bench", "Time this machine on a configuration, against plain Keras.",
        "tl bench data=folder data.path=photos backbone=mobilenet", "train+Bench", "bench",
    ),
    "find-lr": Command(
        "tlcli.find_lr", "Find a learning rate: raise it step by step until the loss diverges.",
        "tl find-lr data=folder data.path=photos backbone=mobilenet", "train+FindLr", "find-lr",
    ),
    "launch": Command(
        "tlcli.launch", "Train one model in several processes of this machine.",
        "tl launch 2 -- train data=folder data.path=photos", "Launch", "launch",
        needs_tensorflow=False,
    ),
    "list": Command(
        "tlcli.listing", "List options and where they come from.", "tl list backbone", "", "",
    ),
}  # fmt: skip

HYDRA_FLAGS = {
    "-m", "--multirun", "-c", "--cfg", "--info", "-i", "--resolve", "-p", "--package",
    "--hydra-help", "-sc", "--shell-completion", "-cd", "--config-dir", "--experimental-rerun",
}  # fmt: skip
SMALLER = "Give a smaller batch_size or image_size; a training also takes cache=off."
FLAGS_WITH_VALUE = {"-c", "--cfg", "-p", "--package", "-cd", "--config-dir", "-sc", "--info", "-i"}


def main() -> None:
    """Entry point of the console script."""
    code = run(sys.argv[1:])
    # Else Python searches TensorFlow's objects for garbage once more at its end: half a second.
    gc.freeze()
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Answer a command line; returns the exit code."""
    try:
        return dispatch(argv)
    except TlError as error:
        word = argv[0] if argv and argv[0] in COMMANDS else ""
        sys.stderr.write(f"tl{' ' + word if word else ''}: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        sys.stderr.write("tl: interrupted\n")
        return 130


def dispatch(argv: list[str]) -> int:
    """Find the command and run it."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _say(usage())
    if argv[0] in ("-V", "--version"):
        return _say(f"tl {__version__}\n")
    word, words = argv[0], argv[1:]
    if word in ("-sc", "--shell-completion"):
        return complete(argv)
    if word not in COMMANDS:
        from tlcli.options import nearest

        raise ConfigError("command", f"there is no command {word!r}", nearest(word, COMMANDS))
    if "-h" in words or "--help" in words:
        return _say(command_help(word))
    command, words = COMMANDS[word], _second_word(word, words)
    if not command.config:
        return int(importlib.import_module(command.module).run(words) or 0)
    from tlcli import compose

    request = compose.read(word, words)
    if request.flags:
        return compose.through_hydra(request, lambda config: execute(word, config))
    config = compose.plain(request)
    check(word, config)
    return execute(word, config)


def _second_word(word: str, words: list[str]) -> list[str]:
    """What follows the command, `verify` after `teacher` taken off."""
    if word != "teacher":
        return words
    if words[:1] != ["verify"]:
        raise ConfigError("teacher", f"got {''.join(words[:1])!r}", "Write tl teacher verify.")
    return words[1:]


def complete(argv: list[str]) -> int:
    """Answer a shell that completes a line: command words ourselves, the rest by Hydra.

    `eval "$(tl -sc install=bash)"` sets it up.
    """
    from tlcli import compose

    line = os.environ.get("COMP_LINE", "")
    typed = line.split()
    word = typed[1] if len(typed) > 1 else ""
    if "query" not in " ".join(argv):
        return compose.through_hydra(compose.read("train", argv), lambda _: 0)
    if word not in COMMANDS or (len(typed) == 2 and not line.endswith(" ")):
        return _say("\n".join(c for c in COMMANDS if c.startswith(word)) + "\n")
    if not COMMANDS[word].config:
        return 0
    os.environ["COMP_LINE"] = line.replace(f"{typed[0]} {word}", typed[0], 1)
    return compose.through_hydra(compose.read(word, argv), lambda _: 0)


def check(word: str, config: dict[str, Any]) -> Any:
    """The command's checked settings.

    Raises:
        ConfigError: The first mistake.
    """
    from tlcli import options, settings

    schema = COMMANDS[word].schema
    if schema == "train":
        return settings.train_job(config)
    if schema == "verify":
        return settings.verify_job(config)
    if schema.startswith("train+"):
        own, train = settings.parted(getattr(settings, schema.removeprefix("train+")), config)
        settings.train_job(train)
        return own
    own = {k: v for k, v in config.items() if k not in options.GROUPS}
    for group in options.GROUPS:
        if "name" in (config.get(group) or {}):
            options.build(group, config[group])
    return options.build_dataclass(getattr(settings, schema), own, "")


def execute(word: str, config: dict[str, Any]) -> int:
    """Run a command on its composed configuration; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if COMMANDS[word].needs_tensorflow:
        import_tensorflow()
    runner: Callable[[Any], int | None] = importlib.import_module(COMMANDS[word].module).run
    previous = signal.getsignal(signal.SIGTERM)
    try:
        with memory.told(f"in tl {word}", SMALLER):
            return int(runner(config) or 0)
    finally:
        signal.signal(signal.SIGTERM, previous)


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices without its start-up chatter on stderr.

    Its C++ side writes there before any log level counts; failures still raise. Keras finds no
    scikit-learn: importing it for wrappers that nobody here uses takes a second. The search for
    garbage, over and over among objects that all stay, takes a quarter of the import.
    """
    first = "keras" not in sys.modules and gc.isenabled()
    hidden = "sklearn" not in sys.modules
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    if first:
        gc.disable()
    try:
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices("GPU")
        # Its warnings (of retracing above all) are for those who write graphs.
        tensorflow.get_logger().setLevel("ERROR")
        if hidden:
            sys.modules["sklearn"] = None  # type: ignore[assignment]
        importlib.import_module("keras")
    finally:
        if first:
            gc.freeze()
            gc.enable()
        if hidden:
            sys.modules.pop("sklearn", None)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def _say(text: str) -> int:
    sys.stdout.write(text)
    return 0


def usage() -> str:
    """What `tl` alone prints."""
    lines = ["Transfer learning and distillation for image classifiers.", "", "Start with:"]
    lines += [f"  {c.example}" for w, c in COMMANDS.items() if w in ("train", "eval", "predict")]
    lines += ["", "`tl train` alone trains on embedded digits.", "", "Commands:"]
    lines += [f"  {word:<10}{command.help}" for word, command in COMMANDS.items()]
    lines += ["", "`tl COMMAND --help` lists a command's keys; `tl list GROUP` its options."]
    return "\n".join(lines) + "\n"


def command_help(word: str) -> str:
    """Help of one command: its YAML is the list of keys, so help shows it."""
    from tlcli.options import GROUPS, config_root

    command = COMMANDS[word]
    lines = [command.help, "", f"  {command.example}", ""]
    if not command.config:
        return "\n".join([*lines, f"Groups: {', '.join(GROUPS)}"]) + "\n"
    text = (config_root() / f"{command.config}.yaml").read_text(encoding="utf-8")
    body = text.partition("_self_\n")[2]
    if command.schema.startswith("train"):
        lines += ["config=NAME|FILE   a recipe (tl list experiment) or a YAML file of yours", ""]
        lines += ["Groups (group=option picks, group.key=value sets):"]
        lines += [f"  {group:<14} {_options(group)}" for group in GROUPS]
    lines += ["", "Keys, their defaults and meanings:", *(f"  {k}" for k in body.split("\n") if k)]
    if command.schema.startswith("train+"):
        lines += ["", "and every key of tl train (tl train --help)."]
    lines += ["", "Hydra: -m sweeps, --cfg job shows the configuration, --config-dir adds options."]
    return "\n".join(lines) + "\n"


def _options(group: str) -> str:
    from tlcli.options import config_root

    found = sorted(p.stem for p in (config_root() / group).glob("*.yaml"))
    shown = ", ".join(found[:8])
    return shown + (f", … ({len(found)})" if len(found) > 8 else "")


if __name__ == "__main__":
    main()
