"""Keys of what many processes do: `tl launch`, shares of `tl predict`, `tl gather`."""

import re
from dataclasses import dataclass
from pathlib import Path

from tlcli.errors import ConfigError, require

# What several workers can do together, beside `train`: their rows have no need of each other.
ROWS = ("eval", "predict", "prepare", "audit")
ENDINGS = (".jsonl", ".json", ".csv", ".txt")
MOST_SHARES = 100_000


def share_of(given: str) -> tuple[int, int]:
    """Number of a share, from 1, and of how many: 3/16.

    Raises:
        ConfigError: It is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", given)
    share, of = (int(found[1]), int(found[2])) if found else (0, 0)
    remedy = f"Write N/OF, N from 1 to OF, which is {MOST_SHARES} at most: shard=3/16."
    require(1 <= share <= of <= MOST_SHARES, "shard", given, remedy)
    return share, of


def check_share(given: str | None, output: str | None) -> None:
    """Refuse a share that is none, or that has no file of its own.

    Raises:
        ConfigError: It is.
    """
    if given is None:
        return
    share, of = share_of(given)
    if output is None or Path(output).suffix.lower() != ".jsonl":
        problem = "no value" if output is None else f"got {output!r}"
        remedy = f"A share has a .jsonl file of its own: output=part-{share}-{of}.jsonl."
        raise ConfigError("output", problem, remedy)


def check_predictions(given: str | None) -> None:
    """Refuse a file whose ending names no format of predictions.

    Raises:
        ConfigError: It does not.
    """
    fits = given is None or Path(given).suffix.lower() in ENDINGS
    require(fits, "output", given, "Give a .jsonl, .json, .csv or .txt file.")


@dataclass(frozen=True)
class Gather:
    """Keys of `tl gather`."""

    parts: tuple[str, ...]
    output: str
    overwrite: bool

    def __post_init__(self) -> None:
        check_predictions(self.output)
        if not self.parts:
            remedy = "Give the files of all shares: tl gather part-*.jsonl output=all.jsonl."
            raise ConfigError("parts", "no value", remedy)


@dataclass(frozen=True)
class Launch:
    """Keys of `tl launch`."""

    words: tuple[str, ...]
    restarts: int
    grace: float
    elastic: int | None
    returns: int

    def __post_init__(self) -> None:
        usage = f"Write tl launch N -- train KEY=VALUE …, or {', '.join(ROWS)}; N from 1 to 256."
        number = self.words[0] if self.words else ""
        fits = number.isdecimal() and 1 <= int(number) <= 256
        require(fits, "launch", " ".join(self.words), usage)
        known = self.words[1:2] == ("train",) or self.shares_rows
        require(known, "launch", " ".join(self.words), usage)
        require(self.restarts >= 0, "restarts", self.restarts, "Give 0 or more.")
        require(self.returns >= 0, "returns", self.returns, "Give 0 or more.")
        require(self.grace > 0, "grace", self.grace, "Give seconds above 0.")
        least = self.elastic
        fits = least is None or 1 <= least <= self.count
        require(fits, "elastic", least, f"Give 1 to {self.count}, or null.")
        if least is not None and self.shares_rows:
            problem = f"tl {self.words[1]} goes on with the workers that remain anyway"
            raise ConfigError("elastic", problem, "Leave it out.")

    @property
    def count(self) -> int:
        """Number of workers."""
        return int(self.words[0])

    @property
    def command(self) -> tuple[str, ...]:
        """What each of them runs."""
        return self.words[1:]

    @property
    def shares_rows(self) -> bool:
        """Whether the workers each do some rows, and never wait for each other."""
        return self.words[1:2] != () and self.words[1] in ROWS
