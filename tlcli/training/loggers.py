"""Loggers beside a training: each in a thread behind a bounded queue, none on the path of a step.

What a logger has no time for is dropped, and told at the end. One that fails is done without, and
that is said once: whatever it raises, the training ends as without it.
"""

import queue
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from tlcli.contracts.logger import (
    Begun,
    Confusion,
    Ending,
    Figures,
    Finished,
    Logger,
    Pictures,
    Steps,
    Writer,
)
from tlcli.system import console
from tlcli.system.notes import WARNING
from tlcli.system.opened import reason
from tlcli.system.shown import shown
from tlcli.training.stopping import Stopped

MOST_WAITING = 1000  # events of a logger
PATIENCE = 60.0  # seconds that a logger which takes nothing in is waited for at the end

Event = Figures | Steps | Pictures | Confusion | Finished


class Line:
    """One logger, its queue and its thread.

    Args:
        option: The logger.
        begun: What it is opened with.
        keep: Takes what the logger wants kept of the run.

    Attributes:
        dropped: Events that it had no time for.
        fault: What it raised, in words; empty before.
    """

    def __init__(
        self, option: Logger, begun: Begun, keep: Callable[[str, Mapping[str, str]], None]
    ) -> None:
        self.option, self._begun, self._keep = option, begun, keep
        self.dropped, self.fault, self._told = 0, "", False
        self._queue: queue.Queue[Event | Ending] = queue.Queue(MOST_WAITING)
        self._moved = time.monotonic()
        name = f"logger {option.label}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Let the logger take an event in when it can; never waits."""
        if self.fault:
            self.tell_fault()
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def tell_fault(self) -> None:
        """Say once that it failed."""
        if self.fault and not self._told:
            self._told = True
            console.say(f"logger     {self.option.label} is done without: {self.fault}", WARNING)

    def end(self, ending: Ending) -> None:
        """Wait until it has taken everything in, as long as it gets on."""
        self._moved = time.monotonic()
        while self._thread.is_alive() and not self._hangs():
            try:
                self._queue.put(ending, timeout=0.5)
                break
            except queue.Full:
                continue
        while self._thread.is_alive() and not self._hangs():
            self._thread.join(0.5)
        self.tell_fault()
        if self._thread.is_alive():
            waited = f"took nothing in for {PATIENCE:.0f} s and is left behind"
            console.say(f"logger     {self.option.label} {waited}", WARNING)
        elif self.dropped and not self.fault:
            lost = f"was too slow: {self.dropped} of what it was told are not in it"
            console.say(f"logger     {self.option.label} {lost}", WARNING)

    def _hangs(self) -> bool:
        return time.monotonic() - self._moved > PATIENCE

    def _work(self) -> None:
        try:
            writer = self.option.open(self._begun)
            self._keep(self.option.label, writer.kept)
            while True:
                event = self._queue.get()
                self._moved = time.monotonic()
                if isinstance(event, str):
                    writer.close(event)
                    return
                take(writer, event, self.option.distance)
        except BaseException as error:  # a stranger's library, which may even ask to exit
            self.fault = told(error)


def take(writer: Writer, event: Event, distance: int) -> None:
    """Give an event to a writer.

    Args:
        writer: Of a logger.
        event: Of a training.
        distance: Steps between two points of a training's figures.
    """
    if isinstance(event, Steps):
        points = event.every(distance)
        if points:
            writer.figures(points)
    elif isinstance(event, Figures):
        writer.figures([event])
    elif isinstance(event, Pictures):
        writer.pictures(event)
    elif isinstance(event, Confusion):
        writer.confusion(event)
    else:
        writer.finished(event)


def told(error: BaseException) -> str:
    """A fault in a line, without what an address may hold of passwords."""
    text = re.sub(r"//[^/@\s]+@", "//", f"{type(error).__name__}: {reason(error)}")
    return shown(text, 200)


class Loggers:
    """All loggers of a training; used as a context, which ends them.

    Args:
        options: The loggers; none where this process writes nothing.
        begun: What each is opened with, by label.
        keep: Takes what a logger wants kept of the run.
        first: What all are told when they begin.
    """

    def __init__(
        self, options: Sequence[Logger] = (), begun: Mapping[str, Begun] | None = None,
        keep: Callable[[str, Mapping[str, str]], None] = lambda label, kept: None,
        first: Sequence[Event] = (),
    ) -> None:  # fmt: skip
        self._options, self._first = tuple(options), tuple(first)
        self._begun, self._keep = dict(begun or {}), keep
        self._lines: list[Line] = []
        self._whole = False

    def __enter__(self) -> "Loggers":
        self._lines = [Line(one, self._begun[one.label], self._keep) for one in self._options]
        for event in self._first:
            self.tell(event)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        ending: Ending = "failed"
        if self._whole:
            ending = "finished"
        elif isinstance(error, (Stopped, KeyboardInterrupt)):
            ending = "stopped"
        with console.Stage("waiting for loggers"):
            for line in self._lines:
                line.end(ending)

    def __bool__(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._lines)

    def tell(self, event: Event) -> None:
        """Let all loggers take an event in when they can."""
        self._whole = self._whole or isinstance(event, Finished)
        for line in self._lines:
            line.put(event)


SILENT = Loggers()
