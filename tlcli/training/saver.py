"""When a training's state is saved, and how it is written."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tlcli.config.intervals import Every
from tlcli.distill.pieces import Pieces
from tlcli.runs import state as states
from tlcli.runs.identity import config_hash
from tlcli.runs.resume import FREE_KEYS
from tlcli.runs.state_data import seen_pictures
from tlcli.system import cluster, files
from tlcli.system.surroundings import surroundings
from tlcli.training.stopping import StopRequest

Value = TypeVar("Value")

# A state is numbered by its phase and its step.
STATES_A_PHASE = 10**8


class Saver:
    """Writes states on the chief; a full disk is waited for.

    Attributes:
        every: How often.
        bytes: Size of the last state.
    """

    def __init__(
        self, pieces: Pieces, run_dir: Path, stop: StopRequest, check: Callable[[], None],
        saved: Callable[[], None] = files.nothing,
    ) -> None:  # fmt: skip
        settings = pieces.job.settings
        self._check, self._saved = check, saved
        self.folder, self.stop = run_dir / "state", stop
        self.every = Every.parse(settings.save_every, "save_every")
        self.member = cluster.join(pieces.job.hardware)
        self._retry = settings.retry_seconds
        self._time, self._step = time.monotonic(), 0
        self._facts = {
            "fingerprint": pieces.manifest.fingerprint,
            "listed": pieces.manifest.listed or pieces.manifest.fingerprint,
            "config_hash": config_hash(pieces.job.config, FREE_KEYS),
            "surroundings": surroundings(pieces.replicas),
        }
        self.bytes, self._manifest = 0, pieces.manifest

    def begin(self, step: int) -> None:
        """Count steps from here."""
        self._step = step

    def due(self, step: int, steps_per_epoch: float) -> bool:
        """Whether a state should be saved now."""
        every = self.every
        timed = False
        if every.seconds is not None:
            # What is saved is looked at first, and may send a training back: on all workers alike.
            timed = self.member.any(time.monotonic() - self._time >= every.seconds)
        distance = every.steps or (every.epochs and every.epochs * steps_per_epoch)
        return timed or bool(distance and step - self._step >= distance)

    def save(
        self, phase: int, step: int, arrays: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> None:
        """Write a state.

        Raises:
            WriteError: The disk stayed full for `save_retry`.
        """
        number = phase * STATES_A_PHASE + step
        if self.member.is_chief:
            facts = {**facts, **self._facts, **seen_pictures(self._manifest)}
            self.bytes = self.patiently(lambda: states.save(self.folder, number, arrays, facts))
            self._saved()
        self._time, self._step = time.monotonic(), step

    def patiently(self, action: Callable[[], Value]) -> Value:
        """Do what writes; while the disk is full, wait and try again for `save_retry`.

        Raises:
            Lost: The folder is no longer the run's own.
            WriteError: The disk stayed full.
        """

        def checked() -> Value:
            self._check()
            return action()

        return files.patiently(checked, self._retry, lambda: bool(self.stop))

    def told(self, run_dir: Path) -> str:
        """What can be gone on with, in a sentence."""
        found = sorted(self.folder.glob("*.json"))
        if not found:
            return "No state was saved."
        phase, step = divmod(int(found[-1].stem), STATES_A_PHASE)
        return (
            f"The last saved state, of step {step} of phase {phase + 1}, goes on with: tl train "
            f"resume={run_dir} (accumulation_steps and cache may be changed there)"
        )
