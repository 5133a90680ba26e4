"""`tl train seeds=5`: a sweep over seeds, in words."""

from collections.abc import Sequence

from tlcli.errors import ConfigError
from tlcli.system.remote import is_address

KEY = "seeds"
MOST = 100


def swept(words: Sequence[str]) -> list[str]:
    """The command line with `seeds=N` as the sweep that it stands for.

    The first seed is the one that is typed, else 0; `run_dir=` names the folder of all.

    Raises:
        ConfigError: It is no number from 1 to 100, or the training is to go on with one run.
    """
    typed = [word.partition("=")[2] for word in words if word.startswith(f"{KEY}=")]
    if not typed:
        return list(words)
    number = _number(typed[-1], KEY, 1, MOST)
    rest = [word for word in words if not word.startswith(f"{KEY}=")]
    if number == 1:
        return rest
    if any(word.startswith("resume=") for word in rest):
        raise ConfigError("resume", "goes on with one run", "Leave seeds out.")
    if any(is_address(word.partition("=")[2]) for word in rest if word.startswith("run_dir=")):
        remedy = "Give a path, or train each seed by itself."
        raise ConfigError("run_dir", "several runs lie on this machine", remedy)
    first = [word.partition("=")[2] for word in rest if word.startswith("seed=")]
    start = _number(first[-1], "seed", 0, 2**31 - 1 - number) if first else 0
    rest = [word for word in rest if not word.startswith("seed=")]
    rest = [f"hydra.sweep.dir={word.partition('=')[2]}" if word.startswith("run_dir=") else word
            for word in rest]  # fmt: skip
    flags = [] if {"-m", "--multirun"} & {*rest} else ["-m"]
    seeds = ",".join(str(start + index) for index in range(number))
    return [*flags, *rest, f"seed={seeds}"]


def _number(text: str, where: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise ConfigError(where, f"got {text!r}", f"Give a number from {low} to {high}.")
    return int(text)
