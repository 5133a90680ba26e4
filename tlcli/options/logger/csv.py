"""All figures of a run as rows of one table."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Ending, Figures, Finished
from tlcli.options.logger._common import Spaced
from tlcli.system import files, opened

FILE = "log.csv"
COLUMNS = ("step", "time", "name", "value")


@dataclass(frozen=True)
class Logger(Spaced):
    """A row a figure: step over all phases, seconds since 1970, name, value."""

    label = "csv"

    def open(self, begun: Begun) -> "Writer":
        """The table, what it has of later steps taken away."""
        return Writer(begun.run_dir / FILE, begun.step)


class Writer(logger.Writer):
    """Adds rows to the table.

    Args:
        path: The table; rows that a resumed training will write again are taken away.
        step: Where the training goes on.
    """

    def __init__(self, path: Path, step: int) -> None:
        kept = earlier(path, step) if step and path.is_file() else []
        files.write_text(path, table([COLUMNS, *kept]))
        self._file = path.open("a", encoding="utf-8", newline="")

    def figures(self, points: Sequence[Figures]) -> None:
        """Add a row a number."""
        rows = [(point.step, f"{point.when:.3f}", name, repr(float(value)))
                for point in points for name, value in point.values.items()]  # fmt: skip
        self._file.write(table(rows))
        self._file.flush()

    def finished(self, found: Finished) -> None:
        """Add the figures of the run."""
        self.figures([Figures(found.step, found.when, found.values)])

    def close(self, ending: Ending) -> None:
        """Let the rows be on disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def earlier(path: Path, step: int) -> list[list[str]]:
    """Whole rows of a table up to a step."""
    rows = list(csv.reader(io.StringIO(opened.read_text(path, "csv"))))[1:]
    return [r for r in rows if len(r) == len(COLUMNS) and r[0].isdecimal() and int(r[0]) <= step]


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
