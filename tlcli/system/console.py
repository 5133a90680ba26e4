"""What a person sees while a training runs: the plan, a row an epoch, the result."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlcli.system.shown import shown as harmless
from tlcli.system.shown import shown_lines

log = logging.getLogger("tlcli")

HEADER = "phase epoch    loss  valid.   accur.  mac.F1  learn.rate   img/s  left"


def start_log(path: Path | None) -> None:
    """Send the log to standard error, and to a file of the run."""
    root = logging.getLogger("tlcli")
    root.setLevel(logging.INFO)
    root.propagate = False
    logging.getLogger("tlcli.models.fold").setLevel(logging.WARNING)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.addHandler(_handler(logging.StreamHandler(sys.stderr)))
    if path is not None:
        root.addHandler(_handler(_LogFile(path, encoding="utf-8")))


class _LogFile(logging.FileHandler):
    """A log that a full disk leaves incomplete; the terminal has every line."""

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Pass over a line that cannot be written."""

    def close(self) -> None:
        """Close the file, whether or not the last line fits."""
        with contextlib.suppress(OSError):
            super().close()


def _handler(handler: logging.Handler) -> logging.Handler:
    handler.setFormatter(_Harmless("%(message)s"))
    return handler


class _Harmless(logging.Formatter):
    """Lines in which names from outside cannot move the cursor or hide what they say."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, its control characters as escapes."""
        return shown_lines(super().format(record))


def stop_log() -> None:
    """Close the run's log file."""
    start_log(None)


def say(text: str) -> None:
    """A line for the person and the log."""
    log.info("%s", text)


def epoch_row(row: Mapping[str, Any], left: float) -> str:
    """One epoch in the columns of HEADER."""
    figures = row["validation"]

    def shown(name: str, width: int, digits: int) -> str:
        value = figures.get(name)
        return " " * (width - 1) + "-" if value is None else f"{value:{width}.{digits}f}"

    return (
        f"{row['phase'] + 1:5d} {row['epoch']:5d} {row['loss']:7.4f} {shown('loss', 7, 4)} "
        f"{shown('accuracy', 8, 4)} {shown('macro_f1', 7, 4)}  {row['learning_rate']:10.3g} "
        f"{row['images_per_second']:7.0f} {duration(left):>5}{' *' if row['best'] else ''}"
    )


def duration(seconds: float) -> str:
    """12s, 3m05, 2h10."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}"


class Bar:
    """A live bar on a terminal; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self._progress: Any = None
        self._started = time.monotonic()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = [TextColumn("{task.completed}/{task.total} steps"), BarColumn()]
            self._progress = Progress(
                *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
            )
            self._task = self._progress.add_task("", total=total)
            self._progress.start()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def move(self, step: int) -> None:
        """Show the steps done."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextlib.contextmanager
def fetching() -> Iterator[Callable[[int, int], None]]:
    """A live bar of the bytes that come, on a terminal; gives what is told of them.

    Gives:
        Called with bytes so far and in all; 0 in all where nobody knows.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = [BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, visible=False)

        def told(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None, visible=True)

        yield told


def bars(heights: Sequence[float], rows: int) -> list[str]:
    """Numbers from 0 to 1 as columns of blocks, the top row first."""
    blocks = " ▁▂▃▄▅▆▇█"
    levels = [1 + round(h * (8 * rows - 1)) for h in heights]
    return [
        "".join(blocks[max(0, min(8, level - 8 * row))] for level in levels)
        for row in reversed(range(rows))
    ]


def figures_line(figures: Mapping[str, float], classes: int) -> str:
    """Metrics in one line; top-5 only of more than five classes."""
    names = {
        "accuracy": "top-1", "top5_accuracy": "top-5", "macro_f1": "macro-F1",
        "balanced_accuracy": "balanced accuracy", "mean_average_precision": "mAP", "ece": "ECE",
        "loss": "loss",
    }  # fmt: skip
    shown = {k for k in figures if k != "top5_accuracy" or classes > 5}
    return "  ".join(f"{names[k]} {figures[k]:.4f}" for k in names if k in shown)


def worst_classes(per_class: Any, names: Sequence[str], count: int = 3) -> str:
    """The classes with the lowest figure."""
    import numpy as np

    order = [int(i) for i in np.argsort(np.nan_to_num(per_class, nan=2.0), kind="stable")]
    order = [i for i in order if np.isfinite(per_class[i])]
    return ", ".join(f"{harmless(names[i])} {per_class[i]:.2f}" for i in order[:count])
