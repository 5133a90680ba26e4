"""What a person sees while a command runs: lines, sheets such as the plan, stages of work.

Everything goes to standard error and into the log of a run. A terminal gets it by Rich, which is
imported when there is one; elsewhere whole lines are written, and nothing moves.
"""

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from tlcli.system.notes import EXPERT, MUST, WARNING, Kind, Note, Said, Sheet, of_line
from tlcli.system.shown import encodable, shown_lines

if TYPE_CHECKING:
    from tlcli.system.screen import Screen

log = logging.getLogger("tlcli")

# A stage that is over before is not shown.
PATIENCE = 1.0
EARLIER = 1000  # lines that are kept until a run has its file
REDRAWN = 0.1  # seconds between two drawings of a stage, at least

Item = TypeVar("Item")


class _Terminal(logging.Handler):
    """Writes what is said to standard error as it deserves."""

    def __init__(self, stream: TextIO, verbose: bool) -> None:
        super().__init__()
        self.stream, self.verbose = stream, verbose
        # Now and not when a stage appears: that is in another thread, which must not import.
        self.screen = screen_of(stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record; one of another module is a line."""
        try:
            for said in _said(record):
                self._show(said)
        except Exception:
            self.handleError(record)

    def _show(self, said: Said | Sheet) -> None:
        if not isinstance(said, Sheet) and said.kind == EXPERT and not self.verbose:
            return
        if self.screen is not None:
            self.screen.show(said, self.verbose)
            return
        lines = [said.plain]
        if isinstance(said, Sheet):
            chosen = said.chosen(self.verbose)
            lines = [one.plain for one in chosen]
            lines += [Note("more", said.rest).plain] * (len(chosen) < len(said.said))
        text = encodable(shown_lines("\n".join(lines)), getattr(self.stream, "encoding", None))
        self.stream.write(f"{text}\n")
        self.stream.flush()


def screen_of(stream: TextIO) -> "Screen | None":
    """What draws on a stream that a person looks at; None for a file, a pipe, a job of several."""
    # Jobs of a sweep that run side by side would draw over each other.
    workers = sys.modules.get("multiprocessing")
    if workers is not None and workers.current_process().name != "MainProcess":
        return None
    if not _is_terminal(stream):
        return None
    from tlcli.system.screen import Screen

    return Screen(stream)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _said(record: logging.LogRecord) -> list[Said | Sheet]:
    """What a record says, as values."""
    said: Said | Sheet | None = getattr(record, "said", None)
    if said is not None:
        return [said]
    kind = WARNING if record.levelno >= logging.WARNING else MUST
    return [of_line(line, kind) for line in record.getMessage().split("\n")]


class _LogFile(logging.FileHandler):
    """A log of plain text that a full disk leaves incomplete; the terminal has what matters."""

    def handleError(self, _: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Pass over a line that cannot be written."""

    def close(self) -> None:
        """Close the file, whether or not the last line fits."""
        with contextlib.suppress(OSError):
            super().close()


class _Harmless(logging.Formatter):
    """Lines in which names from outside cannot move the cursor or hide what they say."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, its control characters as escapes."""
        return shown_lines(super().format(record))


class _Earlier(logging.Handler):
    """Keeps what is said before a run has its file."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=EARLIER)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)


_earlier = _Earlier()


def start_log(path: Path | None, verbose: bool | None = None, stream: TextIO | None = None) -> None:
    """Send what is said to standard error, and all of it to a file of the run.

    Args:
        path: The file, which begins with what was said before; or None.
        verbose: Whether standard error gets what is for experts; None leaves it as it is.
        stream: What stands for standard error, or None.
    """
    log.setLevel(logging.INFO)
    log.propagate = False
    logging.getLogger("tlcli.models.fold").setLevel(logging.WARNING)
    if verbose is None:
        verbose = any(h.verbose for h in log.handlers if isinstance(h, _Terminal))
    _remove(log.handlers)
    log.addHandler(_Terminal(stream or sys.stderr, verbose))
    log.addHandler(_earlier)
    if path is not None:
        file = _LogFile(path, encoding="utf-8")
        file.setFormatter(_Harmless("%(message)s"))
        for record in _earlier.records:
            file.handle(record)
        forget()
        log.addHandler(file)


def forget() -> None:
    """Let a file that is opened later begin empty."""
    _earlier.records.clear()


def stop_log() -> None:
    """Close the run's log file."""
    forget()
    _remove([h for h in log.handlers if isinstance(h, logging.FileHandler)])


def _remove(handlers: Iterable[logging.Handler]) -> None:
    for handler in list(handlers):
        log.removeHandler(handler)
        handler.close()


def say(text: str, kind: Kind = MUST) -> None:
    """Lines for the person and the log; a word in the first ten characters is their label."""
    for line in text.split("\n"):
        show(of_line(line, kind))


def show(said: Said | Sheet) -> None:
    """Show a value to the person, and write all of it into the log."""
    log.info("%s", said.plain, extra={"said": said})


def report(said: Said) -> None:
    """Print a value that is a command's result; on standard output, in the width of a terminal."""
    screen = screen_of(sys.stdout)
    if screen is not None:
        screen.show(said, verbose=True)
        return
    sys.stdout.write(f"{encodable(shown_lines(said.plain), sys.stdout.encoding)}\n")


# ---- stages of work -----------------------------------------------------------------------------


class Stage:
    """Work that may take a while, in a line of its own below the others while it does.

    Shown on a terminal alone, after PATIENCE; used as a context.

    Args:
        what: Is done, in words.
        total: Units in all, or None where nobody knows.
        unit: What is counted, in the plural.
        done: Units that were done before.
    """

    def __init__(
        self, what: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self._lock = threading.Lock()
        terminal = next((h for h in log.handlers if isinstance(h, _Terminal)), None)
        self._screen = None if terminal is None else terminal.screen
        self._number: int | None = None
        self._over, self._since, self._drawn = False, time.monotonic(), 0.0
        self._timer = threading.Timer(PATIENCE, self._appear)
        self._timer.daemon = True

    def __enter__(self) -> "Stage":
        if self._screen is not None:
            self._timer.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._number is not None and self._screen is not None:
                self._screen.end(self._number)
                self._number = None

    def _appear(self) -> None:
        with self._lock:
            if not self._over and self._screen is not None:
                self._number = self._screen.begin(
                    self.what, self.unit, self.done, self.total, self._since
                )

    def move(self, done: float, what: str | None = None) -> None:
        """Say how many units are done, and what is done now where it changed."""
        self.done, self.what = done, what or self.what
        # Counting must cost next to nothing, for there may be millions of units.
        if self._number is not None and time.monotonic() - self._drawn >= REDRAWN:
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            if self._number is not None and self._screen is not None:
                self._screen.move(self._number, self.what, self.done, self.total)
                self._drawn = time.monotonic()

    def advance(self, count: float = 1) -> None:
        """Count more units."""
        self.move(self.done + count)

    def over(self, parts: Iterable[Item], size: Any = None) -> Iterator[Item]:
        """The parts, each counted when the next is asked for.

        Args:
            parts: Of the work.
            size: Gives the units of a part; None counts parts.
        """
        for part in parts:
            yield part
            self.advance(1 if size is None else size(part))


def staged(
    parts: Iterable[Item], what: str, total: float | None = None, unit: str = "", size: Any = None,
) -> Iterator[Item]:  # fmt: skip
    """Parts of some work, which are a stage while they are gone through; see Stage.over."""
    with Stage(what, total, unit) as stage:
        yield from stage.over(parts, size)


@contextlib.contextmanager
def fetching() -> Iterator[Callable[[int, int], None]]:
    """A stage of the bytes that come; gives what is told of them.

    Gives:
        Called with bytes so far and in all; 0 in all where nobody knows.
    """
    with Stage("fetching", None, "MB") as stage:

        def told(done: int, total: int) -> None:
            stage.total = total / 1e6 or None
            stage.move(done / 1e6)

        yield told
