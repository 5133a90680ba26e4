"""Figures and pictures of a run for Weights & Biases, kept on this machine by default."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Confusion, Ending, Figures, Finished, Pictures
from tlcli.errors import TlError, require
from tlcli.options.logger._common import Pictured, drawn, rows_of

STEP = "trainer/step"


@dataclass(frozen=True)
class Logger(Pictured):
    """A run of W&B in RUN/wandb; its name is kept, so that `wandb sync` joins what went on.

    Attributes:
        mode: Whether it is kept here or sent at once.
        project: What runs are gathered under.
        entity: Whose it is, or None.
    """

    mode: Literal["offline", "online"]
    project: str
    entity: str | None
    label = "wandb"
    modules = ("wandb",)
    extra = "wandb"

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 <= len(self.project) <= 128 and not set(self.project) & set("/\\#?%:")
        remedy = "Give 1 to 128 characters, none of / \\ # ? % :"
        require(fits and self.project.isprintable(), "logger.project", self.project, remedy)

    def open(self, begun: Begun) -> "Writer":
        """A new run, or the one that the training began."""
        return Writer(self, begun)


class Writer(logger.Writer):
    """Logs to one run; neither the terminal, the code nor the machine is recorded."""

    def __init__(self, option: Logger, begun: Begun) -> None:
        import wandb

        if option.mode == "online" and not wandb.login(prompt=False):
            raise TlError("no key of W&B is stored here; type `wandb login`, or mode=offline")
        self._wandb = wandb
        name = begun.kept.get("id") or secrets.token_hex(4)
        settings = wandb.Settings(
            mode=option.mode, silent=True, console="off", disable_git=True, disable_code=True,
            save_code=False, x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True,
            x_save_requirements=False,
        )  # fmt: skip
        self._run = wandb.init(
            project=option.project, entity=option.entity, name=begun.title, id=name,
            resume="allow", dir=str(begun.run_dir), config=dict(begun.config), settings=settings,
        )  # fmt: skip
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)
        self.kept = {"id": name}

    def figures(self, points: Sequence[Figures]) -> None:
        """Log a row a step."""
        for point in points:
            self._log(point.step, point.values)

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        self._run.log({**values, STEP: step})

    def pictures(self, found: Pictures) -> None:
        """Log a picture a row."""
        images = [self._wandb.Image(row) for row in rows_of(found.rows)]
        self._log(found.step, {found.name: images})

    def confusion(self, found: Confusion) -> None:
        """Log the matrix as a picture."""
        self._log(found.step, {f"confusion/{found.split}": self._wandb.Image(drawn(found))})

    def finished(self, found: Finished) -> None:
        """Log the run's figures, and let them be its summary."""
        self._log(found.step, found.values)
        self._run.summary.update(dict(found.values))

    def close(self, ending: Ending) -> None:
        """End the run, and wait until it is on disk."""
        self._run.finish(exit_code=0 if ending == "finished" else 1)
        self._wandb.teardown()
