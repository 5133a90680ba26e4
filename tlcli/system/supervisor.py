"""Workers that are started, watched and started again, here or on other hosts."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tlcli.errors import PeerLost, TlError
from tlcli.system.workers import CUT, Worker, is_gone, is_lost, say, told, told_all

STOPPED = (76, 130)
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
PAUSE = 0.05

# From numbers of places, and what tells that nothing more shall be started, to workers there.
Start = Callable[[Sequence[int], Callable[[], bool]], list[Worker]]


class Supervisor:
    """Starts workers together, and again together after a loss.

    Args:
        start: Starts those of some places.
        size: How many places there are.
        restarts: How often all may be started again.
        grace: Seconds from SIGTERM to SIGKILL, and from a signal that is passed on to SIGKILL.

    Attributes:
        present: The places that have a worker.
    """

    def __init__(self, start: Start, size: int, restarts: int, grace: float) -> None:
        self.start, self.size, self.restarts, self.grace = start, size, restarts, grace
        self.present = list(range(size))
        self.workers: list[Worker] = []
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
            lost = told_all(self.workers, codes)
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
        failed = [(i, c) for i, c in enumerate(codes) if c > 0 and c not in (75, CUT, *STOPPED)]
        if failed and not self.signal:
            rank, code = failed[0]
            worker = self.workers[rank].label
            error = TlError(f"worker {worker} failed with exit code {code}; the others were ended.")
            error.exit_code = code
            raise error
        if self.signal or any(code in STOPPED for code in codes):
            stopped = [code for code in codes if code in STOPPED]
            return stopped[0] if len(stopped) == len(codes) else PeerLost.exit_code
        return None

    def _once(self) -> list[int]:
        """One start of all workers, until all have ended; exit codes by rank."""
        self.end = None
        self._start(self.present)
        while any(worker.poll() is None for worker in self.workers):
            self._end_with_others()
            self._look()
            time.sleep(PAUSE)
        return self._finished()

    def _start(self, places: Sequence[int]) -> None:
        """Start workers; a signal that came meanwhile reaches them too."""
        self.workers = []
        self.workers = self.start(places, self._is_stopped)
        if self.signal:
            self._send(self.signal)

    def _is_stopped(self) -> bool:
        return self.signal != 0

    def _end_with_others(self) -> None:
        """After the end of one that did not end well, end the others."""
        if self.end is None and any(map(self._is_unwell, self.workers)):
            self._send(signal.SIGTERM)
            self.end = time.monotonic() + self.grace
        if self.end is not None and time.monotonic() > self.end:
            self._send(signal.SIGKILL)

    def _is_unwell(self, worker: Worker) -> bool:
        """Whether a worker ended so that the others shall end too."""
        return bool(worker.poll())

    def _finished(self) -> list[int]:
        """Exit codes of workers that have ended."""
        for worker in self.workers:
            worker.finish()
        return [worker.poll() or 0 for worker in self.workers]

    def _look(self) -> None:
        """Asked again and again while workers run."""

    def _pass_on(self, number: int, _: Any) -> None:
        self.signal = number
        self._send(number)
        self.end = self.end or time.monotonic() + self.grace

    def _send(self, number: int) -> None:
        for worker in self.workers:
            worker.send(number)

    def _kill(self) -> None:
        """Leave no worker behind, whatever happened here."""
        while any(worker.poll() is None for worker in self.workers):
            self._send(signal.SIGKILL)
            time.sleep(PAUSE)


class Elastic(Supervisor):
    """Workers that go on in a smaller number after a loss, and in the full one after the next save.

    Args:
        start: Starts those of some places, numbered anew.
        size: How many there are to be.
        least: How many must remain; fewer are started again with all others.
        returns: How often lost ones are taken in again.
        saved: Tells one state of the training from another.
        back: Whether some places can have a worker again; may take its time.
        restarts: How often the rest may go on after a loss.
        grace: See Supervisor.
    """

    def __init__(  # noqa: PLR0913
        self, start: Start, size: int, least: int, returns: int, saved: Callable[[], object],
        back: Callable[[Sequence[int]], bool], restarts: int, grace: float,
    ) -> None:  # fmt: skip
        super().__init__(start, size, restarts, grace)
        self.least, self.returns, self.saved, self.back = least, returns, saved, back
        self._before: object = None
        self._returning = False
        self._asked: _Asked | None = None

    def _stay(self) -> int:
        left = self.restarts
        while True:
            self._before, self._returning, self._asked = self.saved(), False, None
            codes = self._once()
            if self._returning and not self.signal and set(codes) <= {0, 76} and any(codes):
                self.present = list(range(self.size))
                say(f"going on with {self.size} workers")
                continue
            # What a stop of our own gave is no wish of a person.
            own = self._returning and not self.signal
            code = self._judged([75 if own and c in STOPPED else c for c in codes])
            if code is not None:
                return code
            lost = told_all(self.workers, codes)
            if not left:
                raise PeerLost(f"workers ended: {lost}. Start them again with the same run_dir.")
            self._lose(codes)
            say(f"workers ended: {lost}; going on with {len(self.present)}, {left} of such left")
            left -= 1

    def _lose(self, codes: list[int]) -> None:
        """Go on without some workers, where enough remain."""
        remain = [p for p, c in zip(self.present, codes, strict=True) if not is_gone(c)]
        self.present = remain if len(remain) >= self.least else list(range(self.size))

    def _look(self) -> None:
        lost = sorted({*range(self.size)} - {*self.present})
        if not lost or not self.returns or self.end is not None:
            return
        if self._asked is None:
            saved = self.saved()
            if saved != self._before:
                self._before = saved
                self._asked = _Asked(lambda: self.back(lost))
        elif self._asked.answer is not None:
            answer, self._asked = self._asked.answer, None
            if not answer:
                say("a state is saved, but who was lost cannot be reached yet")
                return
            say(f"a state is saved; starting all {self.size} workers from it")
            self.returns -= 1
            self._returning = True
            self._send(signal.SIGUSR1)
            self.end = time.monotonic() + self.grace


class _Asked:
    """A question that is answered beside other work."""

    def __init__(self, question: Callable[[], bool]) -> None:
        self.answer: bool | None = None
        self._question = question
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        found = False
        with contextlib.suppress(TlError):
            found = self._question()
        self.answer = found


class Independent(Supervisor):
    """Workers that wait for no other: one that is lost starts again alone, and the rest go on.

    What they write to standard output is a result, and has no number before its lines.
    """

    def _stay(self) -> int:
        self._left, self._gone = self.restarts, set[int]()
        self._start(self.present)
        # Asked in this order: one that is lost as the last of all starts again, too.
        while any(worker.poll() is None for worker in self.workers) or self._lost():
            for rank in self._lost():
                self._do_without(rank)
            self._end_with_others()
            time.sleep(PAUSE)
        return self._ended([0 if rank in self._gone and not self.signal else code
                            for rank, code in enumerate(self._finished())])  # fmt: skip

    def _is_unwell(self, worker: Worker) -> bool:
        """Whether a worker ended by itself, and not well."""
        code = worker.poll()
        return bool(code) and not is_lost(code or 0)

    def _do_without(self, rank: int) -> None:
        """Start a lost worker again, or go on with the others.

        Raises:
            PeerLost: It is the chief, and may not be started again.
        """
        worker = self.workers[rank]
        ended = f"worker {worker.label} ended ({told(worker.poll() or 0)})"
        if self._left:
            say(f"{ended}; starting it again, {self._left} of such left")
            self._left -= 1
            worker.finish()
            self.workers[rank : rank + 1] = self.start([rank], self._is_stopped)
        elif rank:
            say(f"{ended}, and may not be started again; the others do its parts")
            self._gone.add(rank)
        else:
            raise PeerLost(f"{ended}, and may not be started again. Give more restarts.")

    def _lost(self) -> list[int]:
        """Ranks of those that were lost, beside those that are known; none once all shall end."""
        if self.end is not None:
            return []
        codes = [worker.poll() for worker in self.workers]
        return [rank for rank, code in enumerate(codes)
                if code is not None and is_lost(code) and rank not in self._gone]  # fmt: skip

    def _ended(self, codes: list[int]) -> int:
        """Exit code: the chief's.

        Raises:
            PeerLost: A signal stopped them, or the last was lost.
            TlError: Another failed by itself.
        """
        if self.signal == signal.SIGINT:
            return 130
        if codes[0] and not is_lost(codes[0]) and not self.signal:
            return codes[0]
        failed = [(rank, code) for rank, code in enumerate(codes) if code > 0 and not is_lost(code)]
        if failed and not self.signal:
            rank, code = failed[0]
            error = TlError(f"worker {self.workers[rank].label} failed with exit code {code}.")
            error.exit_code = code
            raise error
        if any(codes):
            raise PeerLost(f"workers ended: {told_all(self.workers, codes)}. Start them again.")
        return 0
