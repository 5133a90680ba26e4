"""Several processes that train one model: who they are, what they tell each other, who is lost.

tf.distribute moves the tensors. What it lacks is here: TensorFlow waits for ever for a peer that
never starts or hangs, and its handler swallows SIGTERM. Each wait for the others therefore has a
deadline, kept by a thread that ends the process.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tlcli.errors import ConfigError, PeerLost, TlError
from tlcli.lazy import np, tf

CHUNK = 4096


class Alone:
    """A training of one process.

    Attributes:
        rank: Number of the process; the chief is 0.
        size: Number of processes.
        strategy: The tf.distribute strategy that spans several processes; None for one alone.
    """

    rank, size = 0, 1
    strategy: Any = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run."""
        return self.rank == 0

    def from_chief(self, text: str) -> str:
        """The chief's text."""
        return text

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process; all of them wait for each other."""
        return flag

    def waiting(self) -> Any:
        """A context in which others are waited for, no longer than `hardware.timeout`."""
        return contextlib.nullcontext()

    def agree(self, what: str, text: str) -> None:
        """Refuse to go on where processes differ.

        Raises:
            ConfigError: They do.
        """


class Member(Alone):
    """One process of several.

    Args:
        make: Builds the strategy; waits until all processes are there.
        addresses: host:port of all processes in order of rank.
        rank: Of this one.
        timeout: Seconds that the others may be waited for.
    """

    def __init__(
        self, make: Callable[[], Any], addresses: tuple[str, ...], rank: int, timeout: float
    ) -> None:
        self.addresses, self.rank, self.size = addresses, rank, len(addresses)
        self._watchdog = Watchdog(timeout, self._lost)
        handlers = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
        # TensorFlow holds Python's lock while it connects, so no thread of ours can end that.
        faulthandler.dump_traceback_later(timeout + 30, exit=True, file=sys.stderr)
        self.strategy = make()
        faulthandler.cancel_dump_traceback_later()
        # TensorFlow has put its own handler there, which does nothing.
        for number, handler in handlers.items():
            signal.signal(number, handler)
        self._sum = self._collective()

    def _collective(self) -> Any:
        strategy = self.strategy

        def one(values: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # An argument of a function has no device yet; reducing asks for one.
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values))

        def total(values: Any) -> Any:
            each = strategy.run(one, (values,))
            return strategy.experimental_local_results(each)[0]

        return tf.function(total, input_signature=[tf.TensorSpec((CHUNK,), tf.float32)])

    def _total(self, values: Any) -> Any:
        """Sum over processes of float32 (CHUNK,), whole numbers."""
        padded = np.zeros(CHUNK, np.float32)
        padded[: len(values)] = values
        with self.waiting():
            # Every replica of a process gives the same, so the sum counts it more than once.
            replicas = self.strategy.num_replicas_in_sync // self.size
            return self._sum(tf.constant(padded)).numpy() / replicas

    def from_chief(self, text: str) -> str:
        """The chief's text, shorter than 4096 bytes in UTF-8."""
        content = list(text.encode()) if self.is_chief else []
        if len(content) >= CHUNK:
            raise TlError("run_dir: its path is longer than 4095 bytes.")
        found = self._total([len(content), *content] if self.is_chief else [])
        return bytes(round(v) for v in found[1 : 1 + round(float(found[0]))].tolist()).decode()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        return bool(self._total([float(flag)])[0] > 0.5)

    def agree(self, what: str, text: str) -> None:
        """Refuse to go on where processes differ.

        Raises:
            ConfigError: They do.
        """
        chief = self.from_chief(text)
        if self.any(chief != text):
            told = f"it is {text}, the chief has {chief}" if chief != text else "another differs"
            raise ConfigError(
                what, f"differs between the processes of the training ({told})",
                "Give all of them the same command, data, and files that they share.",
            )  # fmt: skip

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A context in which others are waited for, no longer than `hardware.timeout`.

        Raises:
            PeerLost: TensorFlow noticed that one is gone.
        """
        errors = tf.errors
        self._watchdog.arm()
        try:
            try:
                yield
            finally:
                self._watchdog.disarm()
        except (
            errors.UnavailableError,
            errors.DeadlineExceededError,
            errors.AbortedError,
            errors.CancelledError,
            errors.InternalError,
            errors.FailedPreconditionError,
        ) as error:
            # The end of a process whose collectives are broken may hang too.
            self._watchdog.arm(10.0)
            said = told(str(error.message or ""))
            raise PeerLost(f"{self._text('is lost')} TensorFlow says: {said}") from error

    def _lost(self, seconds: float) -> str:
        return self._text(f"did not answer for {seconds:.0f} s (hardware.timeout)")

    def _text(self, what: str) -> str:
        silent = [a for i, a in enumerate(self.addresses) if i != self.rank and not _listens(a)]
        who = f"worker at {', '.join(silent)}" if silent else "another worker"
        return (
            f"{who} {what}. Start all of them again with the same run_dir; the training goes on "
            "from its last save."
        )


def told(message: str) -> str:
    """The line of an error of TensorFlow that says what happened, not where in the graph."""
    places = ("Graph execution error", "Detected at node", 'File "')
    lines = (line.strip() for line in message.splitlines())
    return next((line[:160] for line in lines if line and not line.startswith(places)), "")


class Watchdog:
    """Ends the process when a wait takes too long.

    Args:
        timeout: Seconds.
        message: Gives the words for a wait of so many seconds.
    """

    def __init__(self, timeout: float, message: Callable[[float], str]) -> None:
        self.timeout, self.message = timeout, message
        self._end: float | None = None
        self._seconds = timeout
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def arm(self, seconds: float | None = None) -> None:
        """Start a wait."""
        self._seconds = seconds or self.timeout
        self._end = time.monotonic() + self._seconds

    def disarm(self) -> None:
        """End it well."""
        self._end = None

    def _watch(self) -> None:
        while True:
            time.sleep(0.1)
            end = self._end
            if end is not None and time.monotonic() > end:
                # The main thread hangs in TensorFlow and will hear no exception.
                sys.stderr.write(f"tl train: {self.message(self._seconds)}\n")
                sys.stderr.flush()
                os._exit(PeerLost.exit_code)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False


_joined: dict[tuple[Any, ...], Alone] = {}


class Joins(Protocol):
    """What `join` asks of an option of hardware; see its contract."""

    @property
    def membership(self) -> tuple[Any, ...]:
        """What tells its place from another; empty for a process alone."""

    def connect(self) -> Alone:
        """Join the other processes."""


def join(hardware: Joins) -> Alone:
    """This process's part in the training that an option of hardware describes.

    TensorFlow can join one cluster a process, so a second training finds the first one's.
    """
    key = (type(hardware), *hardware.membership)
    if key not in _joined:
        _joined[key] = hardware.connect()
    return _joined[key]
