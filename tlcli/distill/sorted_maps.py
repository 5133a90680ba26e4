"""The student's maps, which its network gives in one list, sorted for a method."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tlcli.contracts.distillation import Batch, Method, Outputs, Shape, State


@dataclasses.dataclass(frozen=True)
class GivenMaps:
    """Which maps a network gives, of all that it has.

    Attributes:
        shapes: Shape of each of its maps, without batch.
        features: Places of those that it gives after their activation.
        preactivations: The same before their activation.
    """

    shapes: tuple[Shape, ...]
    features: tuple[int, ...] = ()
    preactivations: tuple[int, ...] = ()


def in_place(
    maps: Sequence[Any], places: Sequence[int], shapes: Sequence[Shape]
) -> tuple[Any, ...]:
    """Maps at their places among all; one that was not made is there without images.

    Args:
        maps: Those that were made, (batch, ...).
        places: Of each.
        shapes: Of all, without batch.
    """
    made = dict(zip(places, maps, strict=True))
    if not made:
        return ()
    return tuple(made[i] if i in made else tf.zeros((0, *shape)) for i, shape in enumerate(shapes))


class SortedMaps(Method):
    """A method whose student gives all its maps in one list.

    They are: after activation, before it, and the projected one that a borrowed head takes.

    Attributes:
        method: The method.
        given: Which maps they are.
    """

    def __init__(self, method: Method, given: GivenMaps) -> None:
        self.method, self.given, self.hard_weight = method, given, method.hard_weight

    @property
    def needs(self) -> frozenset[str]:
        """Signals beyond logits."""
        return self.method.needs

    @property
    def replaces_head(self) -> bool:
        """Whether the student ends in a projector and the teacher's head."""
        return self.method.replaces_head

    def _sorted(self, student: Outputs) -> Outputs:
        given, maps = self.given, student.features
        end = len(maps) - self.method.replaces_head
        after = len(given.features)
        return dataclasses.replace(
            student,
            features=in_place(maps[:after], given.features, given.shapes),
            preactivations=in_place(maps[after:end], given.preactivations, given.shapes),
            head_map=maps[-1] if self.method.replaces_head else None,
        )

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
