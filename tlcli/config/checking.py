"""What a command is given: its values, checked once and without TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tlcli.config import compose, registry, settings
from tlcli.config.at_hand import settled
from tlcli.config.checked import build_dataclass
from tlcli.config.commands import COMMANDS, Command
from tlcli.config.extending import extended
from tlcli.config.job import distrusted, parted, train_job
from tlcli.contracts import GROUPS

Settings = TypeVar("Settings")
Job = TypeVar("Job")


@dataclass(frozen=True)
class Checked(Generic[Settings, Job]):
    """The checked values of one command.

    Attributes:
        word: The command.
        settings: Its own keys; of `tl train` those of the training.
        job: The training that it works on, or None.
        options: By group the options that a command without a training was given.
        config: Plain values of all keys.
        typed: Dotted keys and groups of the command line and its recipe; the rest are defaults.
        said: Lines that tell what the data decided.
    """

    word: str
    settings: Settings
    job: Job
    options: Mapping[str, Any]
    config: Mapping[str, Any]
    typed: tuple[str, ...]
    said: tuple[str, ...] = ()


def check_request(request: compose.Request) -> Checked[Any, Any]:
    """Compose and check what was typed.

    Raises:
        ConfigError: The first mistake.
    """
    return check(request.word, compose.plain(request), request.typed(request.overrides))


def check(word: str, config: Mapping[str, Any], typed: Sequence[str] = ()) -> Checked[Any, Any]:
    """Check plain values for a command.

    Args:
        word: One of COMMANDS.
        config: All its keys and groups.
        typed: Those that are no defaults.

    Raises:
        ConfigError: The first mistake.
    """
    command, typed = COMMANDS[word], tuple(typed)
    config, said = settled(word, config, typed)
    if not command.trains:
        options = _options(command, config)
        rest = {k: v for k, v in config.items() if k not in GROUPS}
        own = build_dataclass(getattr(settings, command.settings), rest, "")
        return Checked(word, own, None, options, config, typed, said)
    if config.get("extend"):
        config = extended(config, typed)
    if not command.settings:
        config = distrusted(config, typed)
        job = train_job(config)
        return Checked(word, job.settings, job, {}, config, typed, said)
    beside, given = parted(getattr(settings, command.settings), config)
    job = train_job(distrusted(beside.training(given), typed))
    return Checked(word, beside, job, {}, config, typed, said)


def _options(command: Command, config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command that works on no training."""
    found = {}
    for group in GROUPS:
        values = config.get(group) or {}
        changes = group in command.changes and "name" not in values
        if group in command.needs or (values and not changes):
            found[group] = registry.build(group, values)
    return found
