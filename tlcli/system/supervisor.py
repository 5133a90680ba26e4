"""Worker processes of one machine, started, watched and started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from tlcli.errors import PeerLost, TlError

STOPPED = (76, 130)


PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


Commands = Callable[[], list[list[str]]]


class Supervisor:
    """Starts workers together, and again together after a loss.

    Args:
        commands: Gives the command line of each worker, anew for each start.
        restarts: How often all may be started again.
        grace: Seconds from SIGTERM to SIGKILL, and from a signal that is passed on to SIGKILL.
    """

    def __init__(self, commands: Commands, restarts: int, grace: float) -> None:
        self.commands, self.restarts, self.grace = commands, restarts, grace
        self.processes: list[subprocess.Popen[bytes]] = []
        self.signal = 0
        self.end: float | None = None

    def run(self) -> int:
        """Exit code: 0, or 76 (130) after a signal.

        Raises:
            PeerLost, TlError: See `tlcli.commands.launch.run`.
        """
        previous = {number: signal.signal(number, self._pass_on) for number in PASSED_ON}
        try:
            return self._stay()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._kill()

    def _stay(self) -> int:
        """Start the workers as often as need be, until they have ended; see `run`."""
        for left in range(self.restarts, -1, -1):
            codes = self._once()
            code = self._judged(codes)
            if code is not None:
                return code
            lost = ", ".join(f"{i} ({_told(c)})" for i, c in enumerate(codes) if c)
            if left:
                say(f"workers ended: {lost}; starting all again, {left} of such left")
        raise PeerLost(f"workers ended: {lost}. Start them again with the same run_dir.")

    def _judged(self, codes: list[int]) -> int | None:
        """What the end of all workers means; None for a loss.

        Raises:
            TlError: A worker failed by itself.
        """
        if not any(codes):
            return 0
        failed = [(i, c) for i, c in enumerate(codes) if c > 0 and c not in (75, *STOPPED)]
        if failed and not self.signal:
            rank, code = failed[0]
            error = TlError(f"worker {rank} failed with exit code {code}; the others were ended.")
            error.exit_code = code
            raise error
        if self.signal or any(code in STOPPED for code in codes):
            stopped = [code for code in codes if code in STOPPED]
            return stopped[0] if len(stopped) == len(codes) else PeerLost.exit_code
        return None

    def _once(self) -> list[int]:
        """One start of all workers, until all have ended; exit codes by rank."""
        self.end = None
        for rank, command in enumerate(self.commands()):
            self.processes.append(started(rank, command, subprocess.PIPE))
        pumps = [pump for rank, p in enumerate(self.processes) for pump in _pumps(rank, p)]
        while any(process.poll() is None for process in self.processes):
            if self.end is None and any(process.poll() for process in self.processes):
                self._send(signal.SIGTERM)
                self.end = time.monotonic() + self.grace
            if self.end is not None and time.monotonic() > self.end:
                self._send(signal.SIGKILL)
            self._look()
            time.sleep(0.05)
        for pump in pumps:
            pump.join()
        codes = [process.returncode for process in self.processes]
        self.processes = []
        return codes

    def _look(self) -> None:
        """Asked again and again while workers run."""

    def _pass_on(self, number: int, _: Any) -> None:
        self.signal = number
        self._send(number)
        self.end = self.end or time.monotonic() + self.grace

    def _send(self, number: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def _kill(self) -> None:
        """Leave no worker behind, whatever happened here."""
        self._send(signal.SIGKILL)
        for process in self.processes:
            process.wait()


class Elastic(Supervisor):
    """Workers that go on in a smaller number after a loss, and in the full one after the next save.

    Args:
        commands: Gives the command lines of so many workers.
        size: How many there are to be.
        least: How many must remain; fewer are started again with all others.
        returns: How often lost ones are taken in again.
        saved: Tells one state of the training from another.
    """

    def __init__(  # noqa: PLR0913
        self, commands: Callable[[int], list[list[str]]], size: int, least: int, returns: int,
        saved: Callable[[], object], restarts: int, grace: float,
    ) -> None:  # fmt: skip
        super().__init__(lambda: commands(self.count), restarts, grace)
        self.size = self.count = size
        self.least, self.returns, self.saved = least, returns, saved
        self._before: object = None
        self._returning = False

    def _stay(self) -> int:
        left = self.restarts
        while True:
            self._before, self._returning = self.saved(), False
            codes = self._once()
            if self._returning and not self.signal and set(codes) <= {0, 76} and any(codes):
                self.count = self.size
                say(f"going on with {self.count} workers")
                continue
            # What a stop of our own gave is no wish of a person.
            own = self._returning and not self.signal
            code = self._judged([75 if own and c in STOPPED else c for c in codes])
            if code is not None:
                return code
            lost = ", ".join(f"{i} ({_told(c)})" for i, c in enumerate(codes) if c)
            if not left:
                raise PeerLost(f"workers ended: {lost}. Start them again with the same run_dir.")
            self._lose(sum(c < 0 and c != -signal.SIGTERM for c in codes))
            say(f"workers ended: {lost}; going on with {self.count}, {left} of such left")
            left -= 1

    def _lose(self, lost: int) -> None:
        """Go on without some workers, where enough remain."""
        remain = self.count - lost
        self.count = remain if remain >= self.least else self.size

    def _look(self) -> None:
        lacking = self.count < self.size and self.returns and self.end is None
        if lacking and self.saved() != self._before:
            say(f"a state is saved; starting all {self.size} workers from it")
            self.returns -= 1
            self._returning = True
            self._send(signal.SIGUSR1)
            self.end = time.monotonic() + self.grace


class Independent(Supervisor):
    """Workers that wait for no other: one that is lost starts again alone, and the rest go on.

    Once none may be started again the rest go on without those that are lost, as long as the chief
    is there. What they write to standard output is a result, and has no number before its lines.
    """

    def _stay(self) -> int:
        self._lines, self._left, self._gone = self.commands(), self.restarts, set[int]()
        self.processes = [started(rank, line, None) for rank, line in enumerate(self._lines)]
        self._threads = [one for rank, p in enumerate(self.processes) for one in _pumps(rank, p)]
        while any(process.poll() is None for process in self.processes):
            for rank in [] if self.end is not None else self._lost():
                self._do_without(rank)
            if self.end is None and any(map(_failed, self.processes)):
                self._send(signal.SIGTERM)
                self.end = time.monotonic() + self.grace
            if self.end is not None and time.monotonic() > self.end:
                self._send(signal.SIGKILL)
            time.sleep(0.05)
        for thread in self._threads:
            thread.join()
        return self._ended([0 if rank in self._gone and not self.signal else process.returncode
                            for rank, process in enumerate(self.processes)])  # fmt: skip

    def _do_without(self, rank: int) -> None:
        """Start a lost worker again, or go on with the others.

        Raises:
            PeerLost: It is the chief, and may not be started again.
        """
        told = f"worker {rank} ended ({_told(self.processes[rank].returncode)})"
        if self._left:
            say(f"{told}; starting it again, {self._left} of such left")
            self._left -= 1
            self.processes[rank] = started(rank, self._lines[rank], None)
            self._threads += _pumps(rank, self.processes[rank])
        elif rank:
            say(f"{told}, and may not be started again; the others do its parts")
            self._gone.add(rank)
        else:
            raise PeerLost(f"{told}, and may not be started again. Give more restarts.")

    def _lost(self) -> list[int]:
        """Ranks of those that were lost, beside those that are known."""
        codes = [process.poll() for process in self.processes]
        return [rank for rank, code in enumerate(codes)
                if code is not None and _is_lost(code) and rank not in self._gone]  # fmt: skip

    def _ended(self, codes: list[int]) -> int:
        """Exit code: the chief's.

        Raises:
            PeerLost: A signal stopped them, or the last was lost.
            TlError: Another failed by itself.
        """
        if self.signal == signal.SIGINT:
            return 130
        if codes[0] and not _is_lost(codes[0]) and not self.signal:
            return codes[0]
        failed = [(rank, code) for rank, code in enumerate(codes) if code > 0 and code != 75]
        if failed and not self.signal:
            error = TlError(f"worker {failed[0][0]} failed with exit code {failed[0][1]}.")
            error.exit_code = failed[0][1]
            raise error
        if any(codes):
            lost = ", ".join(f"{i} ({_told(c)})" for i, c in enumerate(codes) if c)
            raise PeerLost(f"workers ended: {lost}. Start them again.")
        return 0


def _failed(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a worker ended by itself, and not well."""
    code = process.poll()
    return bool(code) and not _is_lost(int(code or 0))


def _is_lost(code: int) -> bool:
    return code < 0 or code == PeerLost.exit_code


def started(rank: int, command: list[str], out: int | None) -> "subprocess.Popen[bytes]":
    """A worker's process; `out` is where its standard output goes."""
    environment = {**os.environ, "LOCAL_RANK": str(rank)}
    # A terminal's Ctrl-C goes to its whole group, and would reach the workers twice.
    return subprocess.Popen(  # noqa: S603 - this program again
        command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=out, stderr=subprocess.PIPE,
    )  # fmt: skip


def _pumps(rank: int, process: "subprocess.Popen[bytes]") -> list[threading.Thread]:
    """Threads that write a worker's lines to our own streams, with its number before them."""

    def pump(source: IO[bytes], target: IO[bytes]) -> None:
        for line in source:
            target.write(f"[{rank}] ".encode() + line.rstrip(b"\n") + b"\n")
            target.flush()

    pairs = [(process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer)]
    threads = [
        threading.Thread(target=pump, args=(source, target), daemon=True)
        for source, target in pairs
        if source is not None
    ]
    for thread in threads:
        thread.start()
    return threads


def _told(code: int) -> str:
    """An exit code in words."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def say(text: str) -> None:
    """A line of the supervisor among those of its workers."""
    sys.stderr.write(f"tl launch: {text}\n")
    sys.stderr.flush()
