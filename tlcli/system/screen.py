"""A terminal that a person looks at, by Rich: lines wrapped at words, colour with a meaning, bars.

Imported where standard error is a terminal alone. No text is read as markup; the cursor stays
visible, so that a process that is killed leaves the terminal as it was.
"""

import contextlib
import threading
import time
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID
from rich.text import Text

from tlcli.system.notes import (
    BEST,
    LABEL,
    WARNING,
    WORST,
    Kind,
    Line,
    Note,
    Said,
    Sheet,
    Table,
)
from tlcli.system.progress_line import progress_line
from tlcli.system.shown import encodable, shown_lines

STYLES: dict[Kind, str] = {WARNING: "yellow", BEST: "green", WORST: "red"}
REFRESHED = 4  # times a second
LEAST_TEXT = 16  # characters beside a label
MOST_LINES = (4, 3, 2, 1)  # of one note, where a sheet is too long


class _Console(Console):
    """A console that never hides the cursor."""

    def show_cursor(self, show: bool = True) -> bool:
        """Leave it as it is."""
        return False


class Screen:
    """Shows what is said, and below it the stages of work that take a while.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.console = _Console(file=stream, markup=False, highlight=False, emoji=False)
        self._live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._progress: Progress | None = None
        self._lock = threading.RLock()

    # ---- what is said -------------------------------------------------------------------------

    def show(self, said: Said | Sheet, verbose: bool) -> None:
        """Print a value in the width there is."""
        lines = self._sheet(said, verbose) if isinstance(said, Sheet) else self._lines(said)
        for line in lines:
            self.console.print(line, no_wrap=True, overflow="ignore", crop=False)

    def complain(self, name: str, text: str) -> None:
        """Print what ended a command."""
        line = Text.assemble((f"{name}:", "bold red"), f" {self._clean(text)}")
        for part in line.wrap(self.console, self.console.width, overflow="fold"):
            part.rstrip()
            self.console.print(part, no_wrap=True, overflow="ignore", crop=False)

    def _clean(self, text: str) -> str:
        return encodable(shown_lines(text).replace("\t", " "), self.console.encoding)

    def _lines(self, said: Said) -> list[Text]:
        """A value as lines that fit."""
        style, width = STYLES.get(said.kind, ""), self.console.width
        if isinstance(said, Table):
            lines = [Text(self._clean(line), style) for line in said.lines(width)]
            if said.titled and lines:
                lines[0].stylize("bold")
            return [_bold_label(line) if said.labelled else line for line in lines]
        if isinstance(said, Line):
            return [*self._wrapped(said.text, style, width)]
        room = max(LEAST_TEXT, width - LABEL - 1)
        found = self._wrapped(said.text, style, room) or [Text()]
        heads = [said.label] + [""] * (len(found) - 1)
        return [
            Text.assemble((f"{self._clean(head):<{LABEL}} ", "bold"), line)
            for head, line in zip(heads, found, strict=True)
        ]

    def _wrapped(self, text: str, style: str, width: int) -> list[Text]:
        lines = Text(self._clean(text), style).wrap(self.console, width, overflow="fold")
        for line in lines:
            line.rstrip()
        return list(lines)

    def _sheet(self, sheet: Sheet, verbose: bool) -> list[Text]:
        """A sheet as lines, no more than it may have."""
        chosen = sheet.chosen(verbose)
        blocks = [self._lines(one) for one in chosen]
        if verbose:
            return [line for block in blocks for line in block]
        most = sheet.most
        if len(chosen) < len(sheet.said) or sum(map(len, blocks)) > most:
            chosen.append(Note("more", sheet.rest))
            blocks.append(self._lines(chosen[-1]))
        for each in MOST_LINES:
            if sum(map(len, blocks)) <= most:
                break
            blocks = [
                block if isinstance(one, Table) else self._cut(block, each)
                for one, block in zip(chosen, blocks, strict=True)
            ]
        lines = [line for block in blocks for line in block]
        return lines if len(lines) <= most else [*lines[: most - 1], lines[-1]]

    def _cut(self, block: list[Text], most: int) -> list[Text]:
        """The first lines of a note, and a sign that it goes on."""
        if len(block) <= most:
            return block
        last = block[most - 1].copy()
        sign = self._clean(" …")
        last.truncate(max(1, self.console.width - len(sign)), overflow="crop")
        last.rstrip()
        return [*block[: most - 1], last.append(sign)]

    # ---- stages -------------------------------------------------------------------------------

    def begin(
        self, what: str, unit: str, done: float, total: float | None, since: float
    ) -> int | None:
        """Show a stage below the lines; gives its number, None where nothing can move.

        Args:
            what: Is done.
            unit: What is counted.
            done: Units that are done.
            total: Units in all, or None.
            since: When it began, by time.monotonic.
        """
        if not self._live:
            return None
        # A terminal that is gone must end no training.
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._progress is None:
                self._progress = Progress(
                    _LineColumn(self.console), console=self.console, transient=True,
                    refresh_per_second=REFRESHED, redirect_stdout=False, redirect_stderr=False,
                )  # fmt: skip
                self._progress.start()
            return self._progress.add_task(
                self._clean(what), total=total, completed=int(done), unit=unit, since=since
            )
        return None

    def move(self, number: int, what: str, done: float, total: float | None) -> None:
        """Show how far a stage is."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._progress is not None:
                self._progress.update(
                    TaskID(number), description=self._clean(what), completed=done, total=total
                )

    def end(self, number: int) -> None:
        """Take a stage away."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            if self._progress is None:
                return
            self._progress.remove_task(TaskID(number))
            if not self._progress.tasks:
                last, self._progress = self._progress, None
                last.stop()


def _bold_label(line: Text) -> Text:
    line.stylize("bold", 0, LABEL)
    return line


class _LineColumn(ProgressColumn):
    """A stage in one line of the width there is."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        """The line."""
        ascii_only = not (self._console.encoding or "").lower().startswith("utf")
        seconds = time.monotonic() - task.fields["since"]
        return Text(
            progress_line(
                task.description, int(task.completed), task.total, str(task.fields["unit"]),
                seconds, task.speed, self._console.width - 1, ascii_only,
            ),
            no_wrap=True, overflow="crop",
        )  # fmt: skip
