"""Workers on other hosts, started and spoken to over ssh."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli import __version__
from tlcli.errors import TlError
from tlcli.system import far_end, workers
from tlcli.system.shown import shown
from tlcli.system.workers import CUT, Heard, Worker

# A question would wait for an answer for ever; a connection that is lost shows after 30 s.
OPTIONS = ("BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=3")
BEAT = 5.0
# Seconds from SIGKILL of a worker to that of its ssh.
LAST = 5.0
PAUSE = 0.02
# Seconds for a host to say that it is there, and that it is tried again after it was there once.
GREETING = 120.0
AGAIN = 60.0
AGAIN_PAUSE = 2.0

# PYTHONPATH comes as a word: how a variable is set differs among shells.
START = (
    "import os, sys; found = sys.argv[1]; "
    "found and os.environ.update(PYTHONPATH=found); "
    "sys.path[:0] = filter(None, found.split(os.pathsep)); "
    "from tlcli.system.far_end import main; sys.exit(main())"
)

# From places and host:port of each to their command lines.
Compose = Callable[[Sequence[int], Sequence[str]], Sequence[Sequence[str]]]


class Unreachable(TlError):  # noqa: N818 - named for what happened
    """A host that cannot be reached, or where `tl` is not; or there is nothing to reach it by."""


@dataclass(frozen=True)
class Reach:
    """How hosts are reached.

    Attributes:
        program: ssh and its words.
        python: Path of Python at every host.
        folder: Where workers run, the same path at every host.
        search_path: PYTHONPATH at every host, or empty.
        port: First port of the workers of a host, or None for any that is free.
    """

    program: tuple[str, ...]
    python: str
    folder: str
    search_path: str
    port: int | None

    def line(self, host: str) -> list[str]:
        """The command line that starts the end at a host, in words that any shell reads alike."""
        words = [self.python, "-c", START, self.search_path]
        inner = f"cd {shlex.quote(self.folder)} && exec {shlex.join(words)}"
        options = [word for option in OPTIONS for word in ("-o", option)]
        return [*self.program, *options, host, inner]


class Far:
    """A worker at a host.

    Args:
        label: Before its lines.
        host: As ssh knows it.
        line: What starts its end there.
        heard: Takes its lines.

    Attributes:
        port: Where the worker may listen; None until its end has said so.
        last: What was last said to standard error before.
    """

    def __init__(self, label: str, host: str, line: Sequence[str], heard: Heard) -> None:
        self.label, self.host, self.heard = label, host, heard
        self.port: int | None = None
        self.last = ""
        self._killed: float | None = None
        self._lock = threading.Lock()
        self.process = subprocess.Popen(  # noqa: S603 - ssh, or what was given for it
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self.pumps = workers.pumps(label, self.process, self._take)
        threading.Thread(target=self._beat, daemon=True).start()

    def poll(self) -> int | None:
        """See `Worker`."""
        code = self.process.poll()
        return 128 - code if code is not None and 128 < code < 128 + signal.NSIG else code

    def send(self, number: int) -> None:
        """See `Worker`."""
        if self.process.poll() is not None:
            return
        if number == signal.SIGKILL:
            now = time.monotonic()
            self._killed = self._killed or now
            if now - self._killed > LAST:
                self.process.kill()
        self.order({"signal": number})

    def finish(self) -> None:
        """See `Worker`."""
        self.process.wait()
        for pump in self.pumps:
            pump.join()
        with contextlib.suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]

    def order(self, order: dict[str, Any]) -> None:
        """Send a line to the end at the host."""
        assert self.process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def leave(self) -> None:
        """End it at once, whatever it is doing."""
        self.process.kill()
        self.finish()

    def _take(self, label: str, line: bytes, of_error: bool) -> None:
        """Hand a line on; those before the greeting tell why there is none."""
        if self.port is not None:
            self.heard(label, line, of_error)
        elif of_error:
            self.last = line.decode("utf-8", "replace").strip() or self.last
        else:
            self._greeted(line)

    def _greeted(self, line: bytes) -> None:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            found = json.loads(line)
            if found[far_end.MARK] == __version__:
                self.port = int(found["port"])
            else:
                self.last = f"tl is {found[far_end.MARK]} there and {__version__} here"
                self.process.kill()

    def _beat(self) -> None:
        while self.process.poll() is None:
            time.sleep(BEAT)
            self.order({})


class Hosts:
    """Starts workers at hosts.

    Args:
        hosts: One for each place, as ssh knows them.
        reach: How they are reached.
        compose: Gives their command lines.
        heard: Takes their lines.
    """

    def __init__(self, hosts: Sequence[str], reach: Reach, compose: Compose, heard: Heard) -> None:
        self.hosts, self.reach, self.compose, self.heard = hosts, reach, compose, heard
        self._known: set[str] = set()

    def start(self, places: Sequence[int], stopped: Callable[[], bool]) -> list[Worker]:
        """Workers at some places; one whose host is gone since it was there has ended.

        Raises:
            Unreachable: A host was never there, or `tl` is not.
        """
        ends: list[Far] = []
        try:
            ends.extend(map(self._end, places))
            if self._meet(ends, places, stopped):
                addresses = [self._address(p, end) for p, end in zip(places, ends, strict=True)]
                lines = self.compose(places, addresses)
                for place, end, line in zip(places, ends, lines, strict=True):
                    end.order({"command": list(line), "environment": self._environment(place)})
        except BaseException:
            for end in ends:
                end.leave()
            raise
        return list(ends)

    def answer(self, places: Sequence[int]) -> bool:
        """Whether the hosts of some places are there now.

        Raises:
            Unreachable: Nothing can ask them.
        """
        ends = [self._end(place) for place in places]
        until = time.monotonic() + GREETING
        while any(e.port is None and e.poll() is None for e in ends) and time.monotonic() < until:
            time.sleep(PAUSE)
        found = all(end.port is not None for end in ends)
        for end in ends:
            end.leave()
        return found

    def _end(self, place: int) -> Far:
        host = self.hosts[place]
        label = f"{place} {host.rpartition('@')[2]}"
        try:
            return Far(label, host, self.reach.line(host), self.heard)
        except OSError as error:
            program = shown(self.reach.program[0])
            raise Unreachable(f"ssh: {program} cannot be started ({error.strerror}).") from None

    def _meet(self, ends: list[Far], places: Sequence[int], stopped: Callable[[], bool]) -> bool:
        """Wait until all ends are there; whether they are."""
        began = time.monotonic()
        while not stopped():
            silent = [i for i, end in enumerate(ends) if end.port is None]
            if not silent:
                self._known |= {end.host for end in ends}
                return True
            for index in silent:
                late = time.monotonic() - began
                if ends[index].poll() is None:
                    if late > GREETING:
                        ends[index].leave()
                    continue
                self._judge(ends[index])
                if late > AGAIN:
                    return False
                time.sleep(AGAIN_PAUSE)
                ends[index] = self._end(places[index])
            time.sleep(PAUSE)
        return False

    def _judge(self, end: Far) -> None:
        """Refuse a host that was never there, or whose end cannot begin."""
        end.finish()
        if end.port is None and not (end.process.returncode == CUT and end.host in self._known):
            why = shown(end.last) or workers.told(end.process.returncode)
            what = "cannot be reached" if end.process.returncode == CUT else "cannot start tl"
            raise Unreachable(
                f"hosts: {end.host} {what} ({why}). {shown(self.reach.program[0])} must get there "
                f"without a question, and find {shown(self.reach.folder)} and "
                f"{shown(self.reach.python)}."
            )

    def _address(self, place: int, end: Far) -> str:
        port = end.port if self.reach.port is None else self.reach.port + self._local_rank(place)
        return f"{end.host.rpartition('@')[2]}:{port}"

    def _local_rank(self, place: int) -> int:
        """Number of a worker among those of its host."""
        return list(self.hosts[:place]).count(self.hosts[place])

    def _environment(self, place: int) -> dict[str, str]:
        # Alone at its host, it has all GPUs.
        shares = Counter(self.hosts)[self.hosts[place]] > 1
        return {"LOCAL_RANK": str(self._local_rank(place))} if shares else {}


def reach(ssh: str, python: str | None, port: int | None) -> Reach:
    """How hosts are reached: this folder and this Python, at the same paths there."""
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    search = os.pathsep.join(map(os.path.abspath, given))
    return Reach(tuple(shlex.split(ssh)), python or sys.executable, os.getcwd(), search, port)
