"""A way back from weights that are not finite: to the last good moment, with half the rate."""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.errors import TlError
from tlcli.runs import state as states
from tlcli.training.kept import numbered
from tlcli.training.phase import PhaseTraining
from tlcli.training.progress import NOT_FINITE, NotFinite, Progress

# A rate that must fall to a thousandth was not the trouble.
HALVINGS = 10


@dataclass(frozen=True)
class Snapshot:
    """A moment of a phase to go back to.

    Attributes:
        arrays: The phase's variables by name.
        swa: Equal averages so far.
        facts: Progress, plain values.
    """

    arrays: dict[str, Any]
    swa: list[Any]
    facts: dict[str, Any]

    @classmethod
    def of(cls, phase: PhaseTraining, progress: Progress) -> "Snapshot":
        """The moment that a phase is in.

        Raises:
            NotFinite: Its weights are not worth going back to.
        """
        arrays = {k: v.numpy() for k, v in phase.state_variables().items()}
        check_weights(arrays, progress)
        return cls(arrays, list(phase.averages.swa), copy.deepcopy(asdict(progress)))

    def restored(self, phase: PhaseTraining, halvings: int, where: Path) -> Progress:
        """Put a phase back into the moment; gives the progress of it.

        Args:
            phase: The one it was taken of.
            halvings: How often the rate is halved from here on.
            where: The run, for messages.
        """
        states.put(phase.state_variables(), self.arrays, where)
        phase.averages.swa = list(self.swa)
        return Progress(**{**copy.deepcopy(self.facts), "halvings": halvings})

    def stored(self) -> dict[str, Any]:
        """Its arrays by name, for a state."""
        found = {f"good/{k}": a for k, a in self.arrays.items()}
        return found | {f"good_swa/{i}": a for i, a in enumerate(self.swa)}

    @classmethod
    def from_state(cls, state: states.State) -> "Snapshot | None":
        """That of a state, or None."""
        if "good" not in state.facts:
            return None
        arrays = {k[5:]: a for k, a in state.arrays.items() if k.startswith("good/")}
        return cls(arrays, numbered(state.arrays, "good_swa"), state.facts["good"])


def next_halving(progress: Progress, error: TlError) -> int:
    """The number of the halving that follows a fault.

    Raises:
        TlError: It was halved often enough.
    """
    halvings = progress.halvings + 1
    if halvings > HALVINGS:
        raise TlError(f"after {HALVINGS} halvings of the rate {error}") from error
    return halvings


def check_losses(progress: Progress) -> None:
    """Refuse to end as a run what never had a loss in its last phase.

    Raises:
        NotFinite: The loss of no epoch is finite.
    """
    losses = [row["loss"] for row in progress.rows if row["phase"] == progress.phase]
    if losses and not np.isfinite(losses).any():
        raise NotFinite(f"no epoch had a finite loss, so this is no run. {NOT_FINITE}")


def check_weights(arrays: Mapping[str, Any], progress: Progress) -> None:
    """Keep weights that the last step spoilt out of the states.

    Raises:
        NotFinite: Some are not finite.
    """
    floats = (a for k, a in arrays.items() if k.startswith("model/") and a.dtype.kind == "f")
    if not all(np.isfinite(a).all() for a in floats):
        raise NotFinite(
            f"the weights are not finite after step {progress.step} of phase "
            f"{progress.phase + 1}. {NOT_FINITE}"
        )
