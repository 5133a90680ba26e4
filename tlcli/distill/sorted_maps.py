"""The student's maps, which its network gives in one list, sorted for a method."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tlcli.contracts.distillation import Batch, Method, Outputs, State


class SortedMaps(Method):
    """A method whose student gives all its maps in one list.

    They are: after activation, before it, and the projected one that a borrowed head takes.

    Attributes:
        method: The method.
        stages: How many of the maps are after activation.
    """

    def __init__(self, method: Method, stages: int) -> None:
        self.method, self.stages, self.hard_weight = method, stages, method.hard_weight

    @property
    def needs(self) -> frozenset[str]:
        """Signals beyond logits."""
        return self.method.needs

    @property
    def replaces_head(self) -> bool:
        """Whether the student ends in a projector and the teacher's head."""
        return self.method.replaces_head

    def _sorted(self, student: Outputs) -> Outputs:
        maps, end = student.features, len(student.features) - self.method.replaces_head
        return dataclasses.replace(
            student, features=maps[: self.stages], preactivations=maps[self.stages : end],
            head_map=maps[-1] if self.method.replaces_head else None,
        )  # fmt: skip

    def loss(self, batch: Batch, student: Outputs, teacher: Any, state: State) -> Any:
        """The method's loss, float32 (batch,)."""
        return self.method.loss(batch, self._sorted(student), teacher, state)

    def terms(self, batch: Batch, student: Outputs, teacher: Any, state: State) -> dict[str, Any]:
        """The method's terms by name."""
        return self.method.terms(batch, self._sorted(student), teacher, state)

    @property
    def shares(self) -> Mapping[str, float]:
        """Shares of the method's terms."""
        return self.method.shares

    @property
    def settled_after(self) -> float:
        """When the method's terms have their full weight."""
        return self.method.settled_after

    def weighed(self, gradients: Mapping[str, float], labels: float) -> dict[str, Any]:
        """What the method chooses from the size of its terms."""
        return self.method.weighed(gradients, labels)

    def update(self, batch: Batch, student: Outputs, teacher: Any, state: State) -> None:
        """Move the method's memories."""
        self.method.update(batch, self._sorted(student), teacher, state)

    def advance(self, batch: Batch, state: State) -> list[tuple[Any, Any]]:
        """What follows the student, by the method."""
        return self.method.advance(batch, state)
