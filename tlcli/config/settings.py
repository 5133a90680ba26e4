"""Each command's own keys outside groups and trainings, checked without TensorFlow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.config import bundled
from tlcli.config.look_settings import Audit as Audit
from tlcli.config.look_settings import BenchExport as BenchExport
from tlcli.config.look_settings import Clean as Clean
from tlcli.config.look_settings import Explain as Explain
from tlcli.config.look_settings import Export as Export
from tlcli.config.look_settings import Pack as Pack
from tlcli.config.look_settings import Report as Report
from tlcli.config.many_settings import BenchScale as BenchScale
from tlcli.config.many_settings import Gather as Gather
from tlcli.config.many_settings import Launch as Launch
from tlcli.config.many_settings import check_predictions, check_share
from tlcli.config.serve_settings import Serve as Serve
from tlcli.config.upgraded import stored
from tlcli.config.weights_settings import Weights as Weights
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest, require
from tlcli.system.cache import cache_folder as cache_folder
from tlcli.system.remote_cache import parse_size

Tta = Literal["none", "flip", "five_crop", "ten_crop"]
LISTED = (*GROUPS, "experiment")


def check_workers(workers: int | Literal["auto"]) -> None:
    """Refuse a number of threads below one.

    Raises:
        ConfigError: It is.
    """
    require(workers == "auto" or workers >= 1, "workers", workers, "Give 1 or more, or auto.")


@dataclass(frozen=True)
class Eval:
    """Keys of `tl eval`."""

    checkpoint: str | None
    split: Literal["train", "validation", "test", "all"]
    batch_size: int
    tta: Tta
    format: Literal["table", "json"]
    output: str | None
    predictions: str | None
    ood: str | None
    overwrite: bool
    runs: str
    workers: int | Literal["auto"]
    shared: str | None
    remote_cache: str

    def __post_init__(self) -> None:
        parse_size(self.remote_cache, "remote_cache")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")
        check_workers(self.workers)
        kept = self.predictions
        fits = kept is None or Path(kept).suffix.lower() == ".npz"
        require(fits, "predictions", kept, "Give a .npz file, or null.")


@dataclass(frozen=True)
class Predict:
    """Keys of `tl predict`."""

    checkpoint: str | None
    images: tuple[str, ...]
    watch: str | None
    format: Literal["table", "json", "jsonl", "csv"]
    top: int
    batch_size: int
    image_size: int | None
    tta: Tta
    shard: str | None
    output: str | None
    overwrite: bool
    runs: str
    workers: int | Literal["auto"]
    shared: str | None

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")
        check_workers(self.workers)
        check_predictions(self.output)
        check_share(self.shard, self.output)
        require(self.top >= 1, "top", self.top, "Give 1 or more.")
        side = self.image_size
        require(side is None or side >= 8, "image_size", side, "Give pixels from 8 to 4096.")
        if not self.images and self.watch is None:
            raise ConfigError("images", "no value", "Give one picture at least: tl predict a.jpg.")
        if self.watch is not None:
            remedy = "Give one of them; tl predict FOLDER names what is there and ends."
            require(not self.images, "watch", "images too", remedy)
            ended = "Give jsonl, csv or table: a list of JSON would never end."
            require(self.format != "json", "format", self.format, ended)
            told = "Leave it out: rows of a watched folder go to standard output."
            require(self.output is None, "output", self.output, told)

    @property
    def streams(self) -> bool:
        """Whether a row is due as soon as its picture has come."""
        return self.watch is not None or (self.images == ("-",) and self.shard is None)


@dataclass(frozen=True)
class Compare:
    """Keys of `tl compare`."""

    runs: tuple[str, ...]
    figure: Literal[
        "auto", "loss", "accuracy", "macro_f1", "balanced_accuracy", "mean_average_precision"
    ]
    unpaired: bool
    format: Literal["table", "json", "csv"]
    output: str | None
    overwrite: bool


@dataclass(frozen=True)
class Prepare:
    """Keys of `tl prepare` beside the group data."""

    output: str
    shard_size: int
    shrink: int | None
    seed: int
    workers: int | Literal["auto"]
    cache_dir: str | None
    shared: str | None
    remote_cache: str

    def __post_init__(self) -> None:
        parse_size(self.remote_cache, "remote_cache")
        require(self.shard_size >= 1, "shard_size", self.shard_size, "Give 1 or more.")
        side = self.shrink
        require(side is None or side >= 8, "shrink", side, "Give 8 pixels or more, or null.")
        require(0 <= self.seed < 2**31, "seed", self.seed, "Give a number from 0 to 2147483647.")
        check_workers(self.workers)


@dataclass(frozen=True)
class Doctor:
    """Keys of `tl doctor`."""

    format: Literal["table", "json"]
    cache_dir: str | None


@dataclass(frozen=True)
class Listing:
    """Keys of `tl list`."""

    groups: tuple[str, ...]
    sort: Literal["name", "top1", "parameters", "gflops", "time", "pixels"]

    def __post_init__(self) -> None:
        for word in self.groups:
            if word not in LISTED:
                problem = f"there is no group {word!r}"
                raise ConfigError("group", problem, nearest(word, LISTED))


class Beside:
    """Keys of a command beside those of the training that it works on."""

    def training(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Plain values of that training.

        Args:
            given: Those of the command line.

        Raises:
            ConfigError: The training is another's, and is not there.
        """
        return given


@dataclass(frozen=True)
class Init(Beside):
    """Keys of `tl init` beside those of a training."""

    recipe: tuple[str, ...]
    overwrite: bool

    def __post_init__(self) -> None:
        fits = len(self.recipe) == 1 and self.recipe[0].strip(". /")
        remedy = "Give a name, then the data: tl init mine photos."
        require(fits, "recipe", " ".join(self.recipe), remedy)


@dataclass(frozen=True)
class Preview(Beside):
    """Keys of `tl preview` beside those of a training."""

    output: str
    overwrite: bool
    images: int
    views: int

    def __post_init__(self) -> None:
        fits = Path(self.output).suffix.lower() in (".png", ".jpg", ".jpeg")
        require(fits, "output", self.output, "Give a .png, .jpg or .jpeg file.")
        require(1 <= self.images <= 64, "images", self.images, "Give 1 to 64.")
        require(1 <= self.views <= 32, "views", self.views, "Give 1 to 32.")


@dataclass(frozen=True)
class Bench(Beside):
    """Keys of `tl bench` beside those of a training."""

    parts: tuple[Literal["decode", "forward", "step", "distill", "predict"], ...]
    rounds: int
    images: int
    output: str | None
    overwrite: bool

    def __post_init__(self) -> None:
        require(self.rounds >= 1, "rounds", self.rounds, "Give 1 or more.")
        require(self.images >= 1, "images", self.images, "Give 1 or more.")


@dataclass(frozen=True)
class FindLr(Beside):
    """Keys of `tl find-lr` beside those of a training."""

    start: float
    end: float
    steps: int
    phase: int
    smoothing: float
    diverged: float
    output: str | None
    overwrite: bool

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


@dataclass(frozen=True)
class Verify(Beside):
    """Keys of `tl teacher verify` beside those of a training."""

    checkpoint: str | None
    samples: int
    tolerance: float

    def __post_init__(self) -> None:
        require(self.samples >= 1, "samples", self.samples, "Give 1 or more.")
        require(self.tolerance > 0, "tolerance", self.tolerance, "Give a number above 0.")

    def training(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Plain values of the training: the checkpoint's, else as given; it is more than a plan.

        Args:
            given: Those of the command line.

        Raises:
            ConfigError: The checkpoint is no run.
        """
        if self.checkpoint is not None:
            path = bundled.located(self.checkpoint, "checkpoint") / "config.json"
            if not path.is_file():
                problem = f"{self.checkpoint} is no run folder"
                raise ConfigError("checkpoint", problem, "Give a folder of tl train.")
            given = stored(path)
        return {**given, "plan_only": False}
