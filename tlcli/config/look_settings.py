"""Keys of the commands that look inside runs."""

from dataclasses import dataclass
from typing import Literal

from tlcli.errors import ConfigError, require
from tlcli.system.remote_cache import parse_size


@dataclass(frozen=True)
class Explain:
    """Keys of `tl explain`."""

    checkpoint: str | None
    images: tuple[str, ...]
    output: str
    class_: str | tuple[str | int, ...] | None
    method: Literal["auto", "grad_cam", "grad_cam_pp", "gradient", "occlusion"]
    batch_size: int
    overwrite: bool
    runs: str
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")
        workers = self.workers
        require(workers == "auto" or workers >= 1, "workers", workers, "Give 1 or more, or auto.")
        if not self.images:
            raise ConfigError("images", "no value", "Give one picture at least: tl explain a.jpg.")

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that are asked about, by name; none takes those of the answer."""
        given = () if self.class_ is None else self.class_
        return (given,) if isinstance(given, str) else tuple(map(str, given))


@dataclass(frozen=True)
class Report:
    """Keys of `tl report`."""

    runs: tuple[str, ...]
    output: str | None
    thumbnails: int
    explain: bool
    audit: str | None
    overwrite: bool
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(0 <= self.thumbnails <= 64, "thumbnails", self.thumbnails, "Give 0 to 64.")
        workers = self.workers
        require(workers == "auto" or workers >= 1, "workers", workers, "Give 1 or more, or auto.")
        if not self.runs:
            raise ConfigError("runs", "no value", "Give a run folder: tl report runs/train/TIME.")
        known = self.output is None or self.output.lower().endswith(".html")
        require(known, "output", self.output, "Give an .html file, or null.")


@dataclass(frozen=True)
class Audit:
    """Keys of `tl audit` beside the groups data and backbone."""

    output: str
    image_size: int | None
    thumbnails: int
    seed: int
    batch_size: int
    overwrite: bool
    workers: int | Literal["auto"]
    cache_dir: str | None
    shared: str | None
    remote_cache: str

    def __post_init__(self) -> None:
        side = self.image_size
        require(side is None or side >= 16, "image_size", side, "Give 16 pixels or more, or null.")
        require(0 <= self.thumbnails <= 200, "thumbnails", self.thumbnails, "Give 0 to 200.")
        require(self.seed >= 0, "seed", self.seed, "Give a number from 0 to 2147483647.")
        parse_size(self.remote_cache, "remote_cache")


@dataclass(frozen=True)
class Export:
    """Keys of `tl export`."""

    checkpoint: str | None
    format: Literal["saved_model", "litert", "onnx", "openvino", "keras"]
    quantize: Literal["none", "float16", "dynamic", "int8"]
    output: str | None
    tolerance: float
    samples: int
    fit_steps: int
    overwrite: bool
    batch_size: int
    runs: str
    workers: int | Literal["auto"]

    def __post_init__(self) -> None:
        require(0 <= self.tolerance <= 1, "tolerance", self.tolerance, "Give a number in [0, 1].")
        require(16 <= self.samples <= 100_000, "samples", self.samples, "Give 16 to 100000.")
        require(0 <= self.fit_steps <= 100_000, "fit_steps", self.fit_steps, "Give 0 to 100000.")
        require(self.batch_size >= 1, "batch_size", self.batch_size, "Give 1 or more.")
        workers = self.workers
        require(workers == "auto" or workers >= 1, "workers", workers, "Give 1 or more, or auto.")


@dataclass(frozen=True)
class Pack:
    """Keys of `tl pack`."""

    folder: tuple[str, ...]
    output: str | None
    overwrite: bool
    runs: str

    def __post_init__(self) -> None:
        given = " ".join(self.folder)
        require(len(self.folder) < 2, "folder", given, "Give one folder: tl pack runs/train/TIME.")
        known = self.output is None or self.output.lower().endswith(".zip")
        require(known, "output", self.output, "Give a .zip file, or null.")


@dataclass(frozen=True)
class Clean:
    """Keys of `tl clean`."""

    runs: tuple[str, ...]
    plan_only: bool

    def __post_init__(self) -> None:
        if not self.runs:
            raise ConfigError("runs", "no value", "Give run folders: tl clean runs.")


@dataclass(frozen=True)
class BenchExport:
    """Keys of `tl bench export`."""

    exports: tuple[str, ...]
    rounds: int
    calls: int
    seconds: float
    batch_size: int
    output: str | None
    overwrite: bool

    def __post_init__(self) -> None:
        if not self.exports:
            remedy = "Give folders: tl bench export RUN RUN/export/litert."
            raise ConfigError("exports", "no value", remedy)
        require(self.seconds > 0, "seconds", self.seconds, "Give a number above 0.")
        for key in ("rounds", "calls", "batch_size"):
            value = vars(self)[key]
            require(value >= 1, key, value, "Give 1 or more.")
