"""A person or the system asks a training to stop."""

import signal
from pathlib import Path
from typing import Any

from tlcli.errors import TlError
from tlcli.system import console
from tlcli.system.shown import typed

# Ctrl-C; what schedulers send before they kill: SLURM by SIGTERM, or by what --signal names, which
# is SIGUSR1 by custom.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stopped(TlError):  # noqa: N818 - it is no error
    """The training was asked to stop; its state is saved.

    Attributes:
        exit_code: 130 after SIGINT; 76 after SIGTERM or SIGUSR1, for those who start it again.
    """

    def __init__(self, step: int, run_dir: Path, number: int) -> None:
        self.exit_code = 130 if number == signal.SIGINT else 76
        super().__init__(f"stopped at step {step}. Go on with: tl train resume={typed(run_dir)}")


class StopRequest:
    """Hears the signals while it is entered; a second one stops at once.

    Attributes:
        signal: The one that came, 0 before.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._previous: dict[int, Any] = {}

    def __bool__(self) -> bool:
        return bool(self.signal)

    def __enter__(self) -> "StopRequest":
        self._previous = {s: signal.signal(s, self._heard) for s in STOPPING}
        return self

    def __exit__(self, *reason: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _: Any) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        console.say("stopping after this step; once more to stop at once")
