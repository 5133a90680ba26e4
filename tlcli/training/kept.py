"""The weights that a training keeps: the best of the student and of its peers, and the first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class KeptWeights:
    """Copies of variables in order, arrays.

    Attributes:
        best: Of the student at its best validation; empty before the first.
        peers: Of each peer at its own best.
        start: Of the student when the last phase began.
    """

    best: list[Any] = field(default_factory=list)
    peers: list[list[Any]] = field(default_factory=list)
    start: list[Any] = field(default_factory=list)

    def arrays(self) -> dict[str, Any]:
        """All by name, for a state."""
        found = {f"best/{i}": a for i, a in enumerate(self.best)}
        for number, best in enumerate(self.peers):
            found |= {f"peer_{number}/{i}": a for i, a in enumerate(best)}
        return found | {f"start/{i}": a for i, a in enumerate(self.start)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], peers: int) -> "KeptWeights":
        """Those of a state with so many peers."""
        return cls(
            numbered(arrays, "best"), [numbered(arrays, f"peer_{i}") for i in range(peers)],
            numbered(arrays, "start"),
        )  # fmt: skip


def values_of(variables: Any) -> list[Any]:
    """Copies of variables."""
    return [variable.numpy() for variable in variables]


def numbered(arrays: Mapping[str, Any], group: str) -> list[Any]:
    """Arrays `group/0`, `group/1`, … in order."""
    found = {int(k.split("/")[1]): v for k, v in arrays.items() if k.startswith(f"{group}/")}
    return [found[i] for i in sorted(found)]
