"""Keys of the commands that look inside runs."""

from dataclasses import dataclass
from typing import Literal

from tlcli.errors import ConfigError, require


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
