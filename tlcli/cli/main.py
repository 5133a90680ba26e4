"""The command `tl`: from words to a checked configuration to one command's `run`.

Imports no TensorFlow. What composes and checks is imported where a command needs it, so that help
is there at once.
"""

import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tlcli import __version__
from tlcli.cli import border, seeds
from tlcli.cli.help import command_help, usage
from tlcli.cli.tensorflow import import_tensorflow
from tlcli.config.commands import COMMANDS, Command
from tlcli.errors import ConfigError, nearest
from tlcli.system import console, download, memory, remote_cache
from tlcli.system.files import expanded

if TYPE_CHECKING:
    from tlcli.config.checking import Checked

SMALLER = "Give a smaller batch_size or image_size; a training also takes cache=off."


def main() -> None:
    """Entry point of the console script."""
    border.settle_streams()
    code = run(sys.argv[1:])
    # Else Python searches TensorFlow's objects for garbage once more at its end: half a second.
    gc.freeze()
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Answer a command line; returns the exit code."""
    word = parted(argv)[0] if argv else ""
    word = word if word in COMMANDS else ""
    return border.guarded(lambda: dispatch(argv), word)


def dispatch(argv: list[str]) -> int:
    """Find the command and run it."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        return _say(usage())
    if argv[0] in ("-V", "--version"):
        return _say(f"tl {__version__}\n")
    word, words = parted(argv)
    if word in ("-sc", "--shell-completion"):
        return complete(argv)
    if word not in COMMANDS:
        raise ConfigError("command", f"there is no command {word!r}", nearest(word, COMMANDS))
    if "-h" in words or "--help" in words:
        return _say(command_help(word))
    return answer(word, _after_verb(word, words))


def parted(argv: list[str]) -> tuple[str, list[str]]:
    """The command, which may be two words, and what follows it."""
    two = " ".join(argv[:2])
    return (two, argv[2:]) if two in COMMANDS and argv[1:] else (argv[0], argv[1:])


def answer(word: str, words: list[str]) -> int:
    """Compose and check what follows a command, then run it."""
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    request = compose.read(word, seeds.swept(words) if word == "train" else words)
    if {"-m", "--multirun"} & set(request.flags):
        from tlcli.cli import sweep

        return sweep.run(request, execute)
    if request.flags:
        from tlcli.cli.hydra import through_hydra

        return through_hydra(request, execute)
    return execute(check_request(request))


def _after_verb(word: str, words: list[str]) -> list[str]:
    """What follows the command, its verb taken off."""
    verb = COMMANDS[word].verb
    if not verb:
        return words
    if words[:1] != [verb]:
        raise ConfigError(word, f"got {''.join(words[:1])!r}", f"Write tl {word} {verb}.")
    return words[1:]


def complete(argv: list[str]) -> int:
    """Answer a shell that completes a line: command words ourselves, the rest by Hydra.

    `eval "$(tl -sc install=bash)"` sets it up.
    """
    line = os.environ.get("COMP_LINE", "")
    typed = line.split()
    word = typed[1] if len(typed) > 1 else ""
    if "query" not in " ".join(argv):
        word = "train"
    elif word not in COMMANDS or (len(typed) == 2 and not line.endswith(" ")):
        return _say("\n".join(c for c in COMMANDS if c.startswith(word)) + "\n")
    else:
        os.environ["COMP_LINE"] = line.replace(f"{typed[0]} {word}", typed[0], 1)
    from tlcli.cli.hydra import through_hydra
    from tlcli.config import compose

    return through_hydra(compose.read(word, argv), lambda _: 0)


def execute(checked: "Checked[Any, Any]") -> int:
    """Run a command on its checked values; returns the exit code."""
    command = COMMANDS[checked.word]
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    from tlcli.data.damage import persistent
    from tlcli.runs.remote_file import release_all

    console.start_log(None, checked.job is not None and checked.job.settings.verbose)
    console.forget()
    for line in checked.said:
        console.say(line)
    _bound_remote(checked.config)
    if command.needs_tensorflow and not (command.light and _module(command).is_light(checked)):
        import_tensorflow()
    runner: Callable[[Checked[Any, Any]], int] = _module(command).run
    previous = signal.getsignal(signal.SIGTERM)
    try:
        alone = checked.job is not None and checked.job.settings.offline
        with memory.told(f"in tl {checked.word}", SMALLER), download.offline(alone):
            # A picture that turns out to be faulty is left out, whatever it was looked at for.
            return persistent(lambda: runner(checked), lambda line: sys.stderr.write(f"{line}\n"))
    finally:
        release_all()
        signal.signal(signal.SIGTERM, previous)


def _bound_remote(config: Mapping[str, Any]) -> None:
    """Say where what is fetched of a store lies, and how much it may be."""
    folder = config.get("cache_dir")
    root = expanded(str(folder), "cache_dir") if folder else None
    remote_cache.use(root, str(config.get("remote_cache") or remote_cache.DEFAULT))


def _module(command: Command) -> ModuleType:
    return importlib.import_module(f"tlcli.commands.{command.module}")


def _say(text: str) -> int:
    sys.stdout.write(text)
    return 0
