"""Keys of `tl serve`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tlcli.config import bundled
from tlcli.errors import ConfigError, require
from tlcli.system.shown import shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Serve:
    """Keys of `tl serve`; `max_body` in megabytes, times in seconds."""

    models: tuple[str, ...]
    host: str
    port: int
    token_file: str | None
    max_batch: int
    max_delay: float
    queue: int
    max_body: int
    max_pixels: int
    max_pictures: int
    top: int
    timeout: float
    grace: float
    reload: float
    runs: str
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(0 <= self.port <= 65535, "port", self.port, "Give 0 to 65535; 0 takes a free one.")
        for key, least, most in (
            ("max_batch", 1, 4096), ("queue", 1, 100_000), ("max_body", 1, 1024),
            ("max_pixels", 1, 1_000_000_000), ("max_pictures", 1, 100_000), ("top", 1, 1_000_000),
        ):  # fmt: skip
            given = vars(self)[key]
            require(least <= given <= most, key, given, f"Give {least} to {most}.")
        for key, low, high in (
            ("max_delay", 0, 10), ("timeout", 0.1, 3600), ("grace", 1, 3600), ("reload", 0, 86_400),
        ):  # fmt: skip
            given = vars(self)[key]
            require(low <= given <= high, key, given, f"Give seconds from {low} to {high}.")
        fits = self.max_pictures <= self.queue
        require(fits, "max_pictures", self.max_pictures, f"Give queue, {self.queue}, at most.")
        workers = self.workers
        require(workers == "auto" or workers >= 1, "workers", workers, "Give 1 or more, or auto.")

    def places(self) -> dict[str, Path]:
        """Folders by the name of their model.

        Raises:
            ConfigError: A name is none, or is given twice.
        """
        found: dict[str, Path] = {}
        for word in self.models:
            name, folder = parted(word)
            if not NAME.fullmatch(name):
                raise ConfigError("models", f"{shown(name)!r} is no name of a model",
                                  "Take 64 letters, digits, '-', '_' and '.' at most.")  # fmt: skip
            if name in found:
                raise ConfigError("models", f"two are named {name}", "Give names: NAME=FOLDER.")
            found[name] = folder
        return found


def parted(word: str) -> tuple[str, Path]:
    """Name and folder of a word: NAME=FOLDER, or a folder or a file that has a name itself."""
    name, equals, rest = word.partition("=")
    if equals and not Path(word).exists():
        return name, bundled.located(rest, "models")
    folder = bundled.located(word, "models")
    return clean(folder), folder


def clean(folder: Path) -> str:
    """What the model of a folder is called: after its run, whose export it may be."""
    place = folder.resolve()
    if place.parent.name == "export":
        place = place.parent.parent
    text = re.sub(r"[^A-Za-z0-9_.-]+", "-", place.name, flags=re.ASCII).strip("-._")
    return text[:64] or "model"
