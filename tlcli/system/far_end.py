"""The end of `tl launch` at another host: one worker, told by lines of JSON what to do.

It says where the worker may listen, is given a command line, and from then on signals. ssh passes
none on, and where its connection is lost nobody hears of it; so the other side sends a line every
few seconds, and after some silence the worker is stopped as by SIGTERM.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any

from tlcli import __version__

SILENCE = 60.0
# Seconds that a worker has for its last state after the connection was lost.
GRACE = 60.0
PAUSE = 0.05
MARK = "tl-far-end"
MOST_LINE = 1 << 22


def main() -> int:
    """Be a worker's host; exit code: the worker's, above 128 for a signal."""
    orders = Orders(sys.stdin.fileno())
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: orders.cut())
    with socket.socket() as held:
        held.bind(("", 0))
        greeting = {MARK: __version__, "port": held.getsockname()[1]}
        sys.stdout.write(json.dumps(greeting) + "\n")
        sys.stdout.flush()
        order = orders.first()
    if "command" not in order:
        return 128 + int(order.get("signal", signal.SIGHUP))
    return worked(order, orders)


def worked(order: dict[str, Any], orders: "Orders") -> int:
    """Run what was ordered, until it ends."""
    environment = {k: v for k, v in os.environ.items() if k != "LOCAL_RANK"}
    process = subprocess.Popen(  # noqa: S603 - this program again
        order["command"], env={**environment, **order["environment"]}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    pumps = [
        threading.Thread(target=hand_on, args=pair, daemon=True)
        for pair in ((process.stdout, sys.stdout.buffer), (process.stderr, sys.stderr.buffer))
    ]
    for pump in pumps:
        pump.start()
    end = None
    while process.poll() is None:
        orders.take(process.send_signal)
        if orders.is_cut and end is None:
            end = time.monotonic() + GRACE
            process.send_signal(signal.SIGTERM)
        if end is not None and time.monotonic() > end:
            process.kill()
    for pump in pumps:
        pump.join()
    code = process.returncode
    return 128 - code if code < 0 else code


def hand_on(source: IO[bytes], target: IO[bytes]) -> None:
    """Hand lines on; what nobody can hear any more is thrown away."""
    for line in source:
        with contextlib.suppress(OSError, ValueError):
            target.write(line)
            target.flush()


class Orders:
    """Lines of JSON that come from the other side.

    Args:
        number: Of the file that they come from.

    Attributes:
        is_cut: Whether there is no other side any more.
    """

    def __init__(self, number: int) -> None:
        self.number, self.is_cut = number, False
        self._rest, self._heard = b"", time.monotonic()

    def cut(self) -> None:
        """Take the connection for lost."""
        self.is_cut = True

    def first(self) -> dict[str, Any]:
        """The first order; an empty one where none came."""
        while not self.is_cut:
            for order in self._new():
                if order:
                    return order
        return {}

    def take(self, signalled: Callable[[int], None]) -> None:
        """Do what was ordered since; waits a moment."""
        for order in self._new():
            if "signal" in order:
                signalled(int(order["signal"]))

    def _new(self) -> list[dict[str, Any]]:
        if self.is_cut:
            time.sleep(PAUSE)
            return []
        if select.select([self.number], [], [], PAUSE)[0]:
            found = os.read(self.number, 1 << 16)
            self._heard = time.monotonic()
            self._rest += found
            if not found or len(self._rest) > MOST_LINE:
                self.cut()
        elif time.monotonic() - self._heard > SILENCE:
            self.cut()
        *lines, self._rest = self._rest.split(b"\n")
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    sys.exit(main())
