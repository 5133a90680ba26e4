"""Keys of a training outside the option groups."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.config.intervals import Every
from tlcli.config.settings import cache_folder, check_workers
from tlcli.errors import require
from tlcli.system.remote import is_address
from tlcli.system.remote_cache import parse_size
from tlcli.system.remote_writing import check_writable

# What report=true means, as train.yaml does.
USUAL_THUMBNAILS = 8


@dataclass(frozen=True)
class Train:
    """Top-level keys of `tl train`; the comments in train.yaml give ranges and meanings."""

    unlabelled: str | None
    auto: bool
    time_budget: str | float | None
    offline: bool
    epochs: float
    batch_size: int | Literal["auto"]
    accumulation_steps: int
    image_size: int | None
    resize: Literal["crop", "squash", "pad"]
    crop_fraction: float
    seed: int
    seeds: int
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
    remote_cache: str
    cache_memory: float
    calibrate: bool
    abstain_below: float | None
    conformal: float | None
    strangers: float | None
    save_every: str
    save_retry: str
    keep_state: bool
    strict_resume: bool
    on_nan: Literal["stop", "skip", "reduce_lr"]
    control: bool
    generations: int
    assistants: tuple[dict[str, Any], ...]
    report: bool | dict[str, int]
    verbose: bool
    plan_only: bool
    workers: int | Literal["auto"]
    resume: str | None
    extend: str | None
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
        require(self.seeds == 1, "seeds", self.seeds, "Type it: tl train seeds=5.")
        stop = self.early_stopping
        require(stop is None or stop >= 1, "early_stopping", stop, "Give 1 or more, or null.")
        require(self.validate_every >= 1, "validate_every", self.validate_every, "Give 1 or more.")
        memory = self.cache_memory
        require(0 < memory < 1, "cache_memory", memory, "Give a number in (0, 1).")
        least = self.abstain_below
        require(least is None or 0 < least < 1, "abstain_below", least, "Give a number in (0, 1).")
        for key, share in (("conformal", self.conformal), ("strangers", self.strangers)):
            require(share is None or 0 < share < 1, key, share, "Give a number in (0, 1).")
        check_workers(self.workers)
        self._check_place()
        self._check_report()
        self._check_times()

    def _check_place(self) -> None:
        name = self.name
        plain = name is None or (name.strip(". ") and not set(name) & set("/\\\0"))
        require(plain, "name", name, "Give a plain name, without / or \\; run_dir is a path.")
        if self.run_dir is not None and is_address(self.run_dir):
            check_writable(self.run_dir, "run_dir")
        remedy = "A new run is begun by extend, an old one gone on with by resume; leave one out."
        require(not (self.resume and self.extend), "extend", self.extend, remedy)

    def _check_report(self) -> None:
        if isinstance(self.report, bool):
            return
        known = set(self.report) == {"thumbnails"}
        require(known, "report", self.report, "Give true, false or report.thumbnails=8.")
        count = self.report["thumbnails"]
        require(0 <= count <= 64, "report.thumbnails", count, "Give 0 to 64.")

    def _check_times(self) -> None:
        parse_size(self.remote_cache, "remote_cache")
        Every.parse(self.save_every, "save_every")
        if self.time_budget is not None:
            remedy = "Write 10min, 45s, 2h or null."
            budget = Every.parse(str(self.time_budget), "time_budget", remedy)
            require(budget.seconds is not None, "time_budget", self.time_budget, remedy)
        retry = Every.parse(self.save_retry, "save_retry")
        timed = retry.steps is None and retry.epochs is None
        require(timed, "save_retry", self.save_retry, "Write 5min, 30s, 1h or off.")

    @property
    def retry_seconds(self) -> float:
        """How long a write that failed is tried again."""
        return Every.parse(self.save_retry, "save_retry").seconds or 0.0

    @property
    def budget_seconds(self) -> float | None:
        """What the training may take, None where nobody said."""
        return Every.parse(str(self.time_budget or "off"), "time_budget").seconds

    @property
    def thumbnails(self) -> int | None:
        """Pictures of each gallery of the page of the run, None where no page is asked for."""
        if isinstance(self.report, bool):
            return USUAL_THUMBNAILS if self.report else None
        return self.report["thumbnails"]

    @property
    def cache_folder(self) -> Path:
        """Where caches lie."""
        return cache_folder(self.cache_dir)
