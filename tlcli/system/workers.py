"""Worker processes of this machine, and what they say."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Protocol

from tlcli.errors import PeerLost

# What ssh ends with where it was never connected, or is no more.
CUT = 255
# Takes a line of a worker: from its label, the line, and whether it is of standard error.
Heard = Callable[[str, bytes, bool], None]


class Worker(Protocol):
    """A process that works with others, here or elsewhere.

    Attributes:
        label: Before its lines, and where it is spoken of.
    """

    label: str

    def poll(self) -> int | None:
        """Exit code: below 0 for a signal, CUT for a lost connection, None while it runs."""

    def send(self, number: int) -> None:
        """Send a signal."""

    def finish(self) -> None:
        """Wait for its end, and until all that it said is written."""


class Local:
    """A worker of this machine.

    Args:
        label: Before its lines.
        command: Its command line.
        local_rank: Its number among those of the machine.
        heard: Takes its lines.
    """

    def __init__(self, label: str, command: Sequence[str], local_rank: int, heard: Heard) -> None:
        self.label = label
        environment = {**os.environ, "LOCAL_RANK": str(local_rank)}
        # A terminal's Ctrl-C goes to its whole group, and would reach the workers twice.
        self.process = subprocess.Popen(  # noqa: S603 - this program again
            command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.pumps = pumps(label, self.process, heard)

    def poll(self) -> int | None:
        """See `Worker`."""
        return self.process.poll()

    def send(self, number: int) -> None:
        """See `Worker`."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def finish(self) -> None:
        """See `Worker`."""
        self.process.wait()
        for pump in self.pumps:
            pump.join()


def local(
    commands: Sequence[Sequence[str]], heard: Heard, places: Sequence[int] | None = None
) -> list[Worker]:
    """Workers of this machine, all started or none.

    Args:
        commands: Their command lines.
        heard: See `Local`.
        places: Their numbers; from 0 unless given.
    """
    made: list[Worker] = []
    try:
        for place, command in zip(places or range(len(commands)), commands, strict=True):
            made.append(Local(str(place), command, place, heard))
    except BaseException:
        for worker in made:
            worker.send(signal.SIGKILL)
            worker.finish()
        raise
    return made


def written(label: str, line: bytes, of_error: bool) -> None:
    """Write a worker's line to our own streams, with its label before it."""
    target = sys.stderr.buffer if of_error else sys.stdout.buffer
    target.write(f"[{label}] ".encode() + line.rstrip(b"\n") + b"\n")
    target.flush()


def results(label: str, line: bytes, of_error: bool) -> None:
    """Write a worker's line; one that is a result as it is."""
    if of_error:
        written(label, line, True)
    else:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def pumps(label: str, process: "subprocess.Popen[bytes]", heard: Heard) -> list[threading.Thread]:
    """Threads that hand on the lines of a process."""

    def pump(source: IO[bytes], of_error: bool) -> None:
        for line in source:
            heard(label, line, of_error)

    pairs = [(process.stdout, False), (process.stderr, True)]
    threads = [
        threading.Thread(target=pump, args=(source, of_error), daemon=True)
        for source, of_error in pairs
        if source is not None
    ]
    for thread in threads:
        thread.start()
    return threads


def told(code: int) -> str:
    """An exit code in words."""
    if code == CUT:
        return "connection lost"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def told_all(workers: Sequence[Worker], codes: Sequence[int]) -> str:
    """Those that did not end well, with what they ended with."""
    return ", ".join(f"{w.label} ({told(c)})" for w, c in zip(workers, codes, strict=True) if c)


def is_lost(code: int) -> bool:
    """Whether a worker that waits for no other was lost."""
    return code < 0 or code in (CUT, PeerLost.exit_code)


def is_gone(code: int) -> bool:
    """Whether a worker was lost itself, and not ended for the loss of another."""
    return code == CUT or (code < 0 and code != -signal.SIGTERM)


def say(text: str) -> None:
    """A line of who started the workers among theirs."""
    sys.stderr.write(f"tl launch: {text}\n")
    sys.stderr.flush()
