"""Keys of what many processes do: `tl launch`, shares of `tl predict`, `tl gather`."""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tlcli.errors import ConfigError, require
from tlcli.system.files import expanded

# What several workers can do together, beside `train`: their rows have no need of each other.
ROWS = ("eval", "predict", "prepare", "audit")
ENDINGS = (".jsonl", ".json", ".csv", ".txt")
MOST_SHARES = 100_000
MOST_WORKERS = 256
MOST_PORT = 65_535 - MOST_WORKERS
MOST_FILE = 1 << 16
# A name or an IPv4 address that no program takes for a flag, perhaps with a user and a number.
HOST = re.compile(r"((?:[\w.][\w.-]*@)?[A-Za-z0-9][\w.-]*)(?::([0-9]{1,3}))?", re.ASCII)
HOSTS_REMEDY = "Write hosts=HOST,USER@HOST,HOST:WORKERS (256 at most), or ./FILE of such lines."


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


def hosts_of(given: str) -> tuple[str, ...]:
    """A host for each worker: `a,b:2` is a, b and b; with a `/` it is a file of such words.

    Raises:
        ConfigError: There is none, or a word is no host.
    """
    words = _file_of_hosts(given) if "/" in given else given.split(",")
    found: list[str] = []
    for word in words:
        match = HOST.fullmatch(word.strip())
        count = int(match[2] or 1) if match else 0
        require(match and 1 <= count <= MOST_WORKERS, "hosts", word, HOSTS_REMEDY)
        assert match is not None
        found += [match[1]] * count
    require(1 <= len(found) <= MOST_WORKERS, "hosts", given, HOSTS_REMEDY)
    return tuple(found)


def _file_of_hosts(given: str) -> list[str]:
    """Words of a file, a line each, without comments."""
    path = expanded(given, "hosts")
    try:
        with path.open("rb") as file:
            text = file.read(MOST_FILE + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise ConfigError("hosts", f"{given!r}: {why}", HOSTS_REMEDY) from None
    require(len(text) <= MOST_FILE, "hosts", given, HOSTS_REMEDY)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def check_ssh(ssh: str, port: int | None) -> None:
    """Refuse what cannot start a worker at a host.

    Raises:
        ConfigError: It cannot.
    """
    try:
        words = shlex.split(ssh)
    except ValueError:
        words = []
    require(words, "ssh", ssh, "Give a program with its words: ssh='ssh -p 2222'.")
    fits = port is None or 1 <= port <= MOST_PORT
    require(fits, "port", port, f"Give 1 to {MOST_PORT}, or null.")


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
    hosts: str | None
    restarts: int
    grace: float
    elastic: int | None
    returns: int
    ssh: str
    python: str | None
    port: int | None

    def __post_init__(self) -> None:
        rows = ", ".join(ROWS)
        usage = f"Write tl launch N -- train KEY=VALUE …, or {rows}; N from 1 to {MOST_WORKERS}."
        if self.hosts is None:
            number = self.words[0] if self.words else ""
            fits = number.isdecimal() and 1 <= int(number) <= MOST_WORKERS
            require(fits, "launch", " ".join(self.words), usage)
        else:
            usage = f"Write tl launch hosts=HOST,… -- train KEY=VALUE …, or {rows}."
        known = self.count and (self.command[:1] == ("train",) or self.shares_rows)
        require(known, "launch", " ".join(self.words), usage)
        require(self.restarts >= 0, "restarts", self.restarts, "Give 0 or more.")
        require(self.returns >= 0, "returns", self.returns, "Give 0 or more.")
        require(self.grace > 0, "grace", self.grace, "Give seconds above 0.")
        check_ssh(self.ssh, self.port)
        least = self.elastic
        fits = least is None or 1 <= least <= self.count
        require(fits, "elastic", least, f"Give 1 to {self.count}, or null.")
        if least is not None and self.shares_rows:
            problem = f"tl {self.command[0]} goes on with the workers that remain anyway"
            raise ConfigError("elastic", problem, "Leave it out.")

    @cached_property
    def places(self) -> tuple[str, ...]:
        """A host for each worker; none where all are processes of this machine."""
        return () if self.hosts is None else hosts_of(self.hosts)

    @property
    def count(self) -> int:
        """Number of workers."""
        return int(self.words[0]) if self.hosts is None else len(self.places)

    @property
    def command(self) -> tuple[str, ...]:
        """What each of them runs."""
        return self.words[1:] if self.hosts is None else self.words

    @property
    def shares_rows(self) -> bool:
        """Whether the workers each do some rows, and never wait for each other."""
        return self.command[:1] != () and self.command[0] in ROWS


@dataclass(frozen=True)
class BenchScale:
    """Keys of `tl bench scale`."""

    words: tuple[str, ...]
    workers: tuple[int, ...] | None
    forecast: tuple[int, ...]
    steps: int
    images: int
    cores: int | None
    latency: float | None
    bandwidth: float | None
    hosts: str | None
    grace: float
    ssh: str
    python: str | None
    port: int | None
    output: str | None
    overwrite: bool

    def __post_init__(self) -> None:
        usage = "Write tl bench scale workers=1,2 -- train KEY=VALUE …"
        require(self.words[:1] == ("train",), "words", " ".join(self.words), usage)
        most = len(self.places) or MOST_WORKERS
        fits = self.workers is None or all(1 <= n <= most for n in self.workers)
        told = f"Give numbers from 1 to {most}, as 1,2,4."
        require(fits and self.workers != (), "workers", self.workers, told)
        fits = all(1 <= n <= 1_000_000 for n in self.forecast)
        require(fits, "forecast", self.forecast, "Give numbers from 1 to 1000000, as 2,4,8.")
        require(10 <= self.steps <= 100_000, "steps", self.steps, "Give 10 to 100000.")
        require(1 <= self.images <= 1_000_000, "images", self.images, "Give 1 to 1000000.")
        for key in ("cores", "latency", "bandwidth"):
            value = vars(self)[key]
            require(value is None or value > 0, key, value, "Give a number above 0, or null.")
        require(self.grace > 0, "grace", self.grace, "Give seconds above 0.")
        check_ssh(self.ssh, self.port)

    @cached_property
    def places(self) -> tuple[str, ...]:
        """A host for each worker; none where all are processes of this machine."""
        return () if self.hosts is None else hosts_of(self.hosts)
