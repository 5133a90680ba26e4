"""What a command's configuration says outside the option groups, checked without TensorFlow."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.errors import ConfigError, require

Tta = Literal["none", "flip", "five_crop", "ten_crop"]


@dataclass(frozen=True)
class Every:
    """How often something is done; `off` when all are None.

    Attributes:
        steps, epochs, seconds: The distance; exactly one is set, or none.
    """

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str, where: str) -> "Every":
        """From `100steps`, `1epochs`, `10min`, `30s`, `2h` or `off`.

        Raises:
            ConfigError: Another text.
        """
        if text == "off":
            return cls()
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(steps?|epochs?|s|min|h)", text)
        remedy = "Write 100steps, 1epochs, 10min or off."
        require(match and float(match[1]) > 0, where, text, remedy)
        assert match is not None
        number, unit = float(match[1]), match[2]
        if unit.startswith("step"):
            return cls(steps=max(1, int(number)))
        if unit.startswith("epoch"):
            return cls(epochs=number)
        return cls(seconds=number * {"s": 1, "min": 60, "h": 3600}[unit])


class Composed(dict[str, Any]):
    """A composed configuration that knows what of it was typed.

    Attributes:
        typed: Dotted keys and groups of the command line and its recipe; the rest are defaults.
    """

    typed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Train:
    """Top-level keys of `tl train`; the comments in train.yaml give ranges and meanings."""

    unlabelled: str | None
    auto: bool
    epochs: float
    batch_size: int | Literal["auto"]
    accumulation_steps: int
    image_size: int | None
    resize: Literal["crop", "squash", "pad"]
    crop_fraction: float
    seed: int
    sampler: Literal["uniform", "balanced"]
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    jit: bool | Literal["auto"]
    deterministic: bool
    monitor: Literal[
        "auto", "loss", "accuracy", "macro_f1", "balanced_accuracy", "mean_average_precision"
    ]
    early_stopping: int | None
    validate_every: int
    cache: Literal["auto", "off", "ram", "disk"] | bool
    cache_format: Literal["auto", "float32", "float16"]
    cache_dir: str | None
    cache_memory: float
    calibrate: bool
    abstain_below: float | None
    save_every: str
    save_retry: str
    keep_state: bool
    strict_resume: bool
    on_nan: Literal["stop", "skip", "reduce_lr"]
    control: bool
    generations: int
    assistants: tuple[dict[str, Any], ...]
    plan_only: bool
    workers: int | Literal["auto"]
    resume: str | None
    run_dir: str | None
    name: str | None

    def __post_init__(self) -> None:
        above = "Give a number above 0."
        require(self.epochs > 0, "epochs", self.epochs, above)
        size: int | str | None = self.batch_size
        valid = size == "auto" or (isinstance(size, int) and size >= 1)
        require(valid, "batch_size", size, "Give 1 or more, or auto.")
        require(
            self.accumulation_steps >= 1,
            "accumulation_steps", self.accumulation_steps, "Give 1 or more.",
        )  # fmt: skip
        size = self.image_size
        require(
            size is None or 8 <= size <= 4096, "image_size", size, "Give pixels from 8 to 4096."
        )
        fraction = self.crop_fraction
        require(0 < fraction <= 1, "crop_fraction", fraction, "Give a number in (0, 1].")
        count = self.generations
        require(1 <= count <= 100, "generations", count, "Give a number from 1 to 100.")
        require(0 <= self.seed < 2**31, "seed", self.seed, "Give a number from 0 to 2147483647.")
        stop = self.early_stopping
        require(stop is None or stop >= 1, "early_stopping", stop, "Give 1 or more, or null.")
        require(self.validate_every >= 1, "validate_every", self.validate_every, "Give 1 or more.")
        memory = self.cache_memory
        require(0 < memory < 1, "cache_memory", memory, "Give a number in (0, 1).")
        least = self.abstain_below
        require(least is None or 0 < least < 1, "abstain_below", least, "Give a number in (0, 1).")
        if self.workers != "auto":
            require(self.workers >= 1, "workers", self.workers, "Give 1 or more, or auto.")
        Every.parse(self.save_every, "save_every")
        retry = Every.parse(self.save_retry, "save_retry")
        timed = retry.steps is None and retry.epochs is None
        require(timed, "save_retry", self.save_retry, "Write 5min, 30s, 1h or off.")

    @property
    def retry_seconds(self) -> float:
        """How long a write that failed is tried again."""
        return Every.parse(self.save_retry, "save_retry").seconds or 0.0

    @property
    def cache_folder(self) -> Path:
        """Where caches lie."""
        return cache_folder(self.cache_dir)


@dataclass(frozen=True)
class Eval:
    """Keys of `tl eval`."""

    checkpoint: str
    split: Literal["train", "validation", "test", "all"]
    batch_size: int
    tta: Tta
    format: Literal["table", "json"]
    output: str | None
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")


@dataclass(frozen=True)
class Predict:
    """Keys of `tl predict`."""

    checkpoint: str | None
    images: tuple[str, ...]
    format: Literal["table", "json", "jsonl", "csv"]
    top: int
    batch_size: int
    image_size: int | None
    tta: Tta
    runs: str
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")
        require(self.top >= 1, "top", self.top, "Give 1 or more.")
        if not self.images:
            raise ConfigError("images", "no value", "Give one picture at least: tl predict a.jpg.")


@dataclass(frozen=True)
class Compare:
    """Keys of `tl compare`."""

    runs: tuple[str, ...]
    figure: Literal[
        "auto", "loss", "accuracy", "macro_f1", "balanced_accuracy", "mean_average_precision"
    ]
    format: Literal["table", "json", "csv"]
    output: str | None


@dataclass(frozen=True)
class Prepare:
    """Keys of `tl prepare` beside the group data."""

    output: str
    shard_size: int
    shrink: int | None
    seed: int
    workers: int | Literal["auto"]
    cache_dir: str | None

    def __post_init__(self) -> None:
        require(self.shard_size >= 1, "shard_size", self.shard_size, "Give 1 or more.")
        side = self.shrink
        require(side is None or side >= 8, "shrink", side, "Give 8 pixels or more, or null.")
        require(0 <= self.seed < 2**31, "seed", self.seed, "Give a number from 0 to 2147483647.")
        if self.workers != "auto":
            require(self.workers >= 1, "workers", self.workers, "Give 1 or more, or auto.")


@dataclass(frozen=True)
class Launch:
    """Keys of `tl launch`."""

    words: tuple[str, ...]
    restarts: int
    grace: float

    def __post_init__(self) -> None:
        usage = "Write tl launch N -- train KEY=VALUE …, N from 1 to 256."
        number = self.words[0] if self.words else ""
        fits = number.isdecimal() and 1 <= int(number) <= 256
        require(fits, "launch", " ".join(self.words), usage)
        require(self.words[1:2] == ("train",), "launch", " ".join(self.words), usage)
        require(self.restarts >= 0, "restarts", self.restarts, "Give 0 or more.")
        require(self.grace > 0, "grace", self.grace, "Give seconds above 0.")

    @property
    def count(self) -> int:
        """Number of workers."""
        return int(self.words[0])

    @property
    def command(self) -> tuple[str, ...]:
        """What each of them runs."""
        return self.words[1:]


@dataclass(frozen=True)
class Preview:
    """Keys of `tl preview`, beside those of `tl train`."""

    output: str
    images: int
    views: int

    def __post_init__(self) -> None:
        fits = Path(self.output).suffix.lower() in (".png", ".jpg", ".jpeg")
        require(fits, "output", self.output, "Give a .png, .jpg or .jpeg file.")
        require(1 <= self.images <= 64, "images", self.images, "Give 1 to 64.")
        require(1 <= self.views <= 32, "views", self.views, "Give 1 to 32.")


@dataclass(frozen=True)
class Bench:
    """Keys of `tl bench` beside those of a training."""

    parts: tuple[Literal["decode", "forward", "step", "distill", "predict"], ...]
    rounds: int
    images: int
    output: str | None

    def __post_init__(self) -> None:
        require(self.rounds >= 1, "rounds", self.rounds, "Give 1 or more.")
        require(self.images >= 1, "images", self.images, "Give 1 or more.")


@dataclass(frozen=True)
class FindLr:
    """Keys of `tl find-lr` beside those of a training."""

    start: float
    end: float
    steps: int
    phase: int
    smoothing: float
    diverged: float
    output: str | None

    def __post_init__(self) -> None:
        require(self.start > 0, "start", self.start, "Give a number above 0.")
        fits = self.start < self.end < math.inf
        require(fits, "end", self.end, f"Give a number above start, {self.start:g}.")
        require(10 <= self.steps <= 10_000, "steps", self.steps, "Give 10 to 10000.")
        require(self.phase >= 1, "phase", self.phase, "Give 1 or more.")
        require(0 <= self.smoothing < 1, "smoothing", self.smoothing, "Give a number in [0, 1).")
        require(self.diverged > 1, "diverged", self.diverged, "Give a number above 1.")
        known = self.output is None or Path(self.output).suffix.lower() in (".csv", ".json")
        require(known, "output", self.output, "Give a .csv or .json file, or null.")


def cache_folder(given: str | None) -> Path:
    """The folder for caches: as given, else the user's own."""
    import os

    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tl"


@dataclass(frozen=True)
class Verify:
    """Keys of `tl teacher verify` beside those of `tl train`."""

    checkpoint: str | None
    samples: int
    tolerance: float

    def __post_init__(self) -> None:
        require(self.samples >= 1, "samples", self.samples, "Give 1 or more.")
        require(self.tolerance > 0, "tolerance", self.tolerance, "Give a number above 0.")
