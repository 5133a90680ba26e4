"""Teachers: trained classifiers, or their stored logits, that a student learns from.

An option is a frozen dataclass `Teacher`, as the protocol of this name says; what it builds is a
`BuiltTeacher`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from tlcli.contracts.distillation import Outputs, Shape


def every_map(_kind: str, _maps: Sequence[Shape]) -> None:
    """None: a method may look at all maps."""


@dataclass(frozen=True)
class Target:
    """What a teacher has to fit.

    Attributes:
        manifest: The student's data.
        side: Pixels of a side of the images that the student sees.
        rows: Manifest rows of the training split, int64 (samples,).
        views: The student's training views.
        needs: Signals that the method wants beyond logits.
        tables: Cache of frozen outputs.
        compared: From a kind of maps and the shapes of the teacher's maps to the places of those
            that the method looks at, None for all (see Method.compared).
        plain: The evaluation views of the same data.
        layers: Layers of the teacher that give its maps, or None for one a stage.
    """

    manifest: Any
    side: int
    rows: Any
    views: Any
    needs: frozenset[str]
    tables: Any
    plain: Any = None
    layers: tuple[str, ...] | None = None
    compared: Callable[[str, Sequence[Shape]], Sequence[int] | None] = every_map


class BuiltTeacher(ABC):
    """A teacher that was read, its classes in the student's order, frozen.

    Attributes:
        names: Its signals, `teacher_logits` first, then perhaps `teacher_embedding`, …
        shapes: Shape of each signal by name, without batch.
        tabular: Whether its outputs over finite views are worth being computed once.
        table_bytes: What a table of all its outputs takes in memory.
        on_disk: Whether `feed` finds its outputs on disk.
        label: What the plan calls it.
        classes: How its classes became the student's, in words.
        norms: Offset and absolute scale of the BatchNorm behind each pre-activation, or empty.
        taps: Paths of the layers that give its maps.
        network: The network that it is (see distill.network), or None.
        classifier: Keras model from its own images to its own classes, or None.
        kept: Its outputs over finite views (see distill.kept), or None.
        remedy: What to look at when it guesses.
    """

    names: Sequence[str]
    shapes: dict[str, Any]
    tabular: bool
    label: str
    classes: str
    table_bytes: int = 0
    on_disk: bool = False
    norms: Sequence[Any] = ()
    taps: Sequence[str] = ()
    network: Any = None
    classifier: Any = None
    kept: Any = None
    remedy: str = "Check its classes and preprocessing, or train it longer."

    @property
    def maps(self) -> tuple[Shape, ...]:
        """Shape of each of its maps, those that are not given too."""
        return tuple(s for name, s in self.shapes.items() if name.startswith("teacher_feature"))

    @abstractmethod
    def outputs(self, batch: Mapping[str, Any]) -> Outputs:
        """Signals of a batch inside a step."""

    @abstractmethod
    def compute(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """All signals of `count` views of each row by name, arrays (count * rows, ...)."""

    @abstractmethod
    def feed(self) -> Callable[[Any], Any] | None:
        """What adds its outputs to a batch inside tf.data; None where the step finds them."""

    def check(self) -> None:  # noqa: B027 - most read no file in a step
        """Refuse stored outputs that were cut off.

        Raises:
            DataError: They were.
        """

    @abstractmethod
    def logits(self, views: Any, rows: Any) -> Any:
        """float32 (rows, classes), or None where it lacks a row."""

    @abstractmethod
    def reference(self) -> dict[str, Any]:
        """Where it came from, for metadata.json."""


class Teacher(Protocol):
    """What every option of the group has.

    Attributes:
        is_teacher: False for `none` alone.
        minimum_accuracy: Validation accuracy below which the training is refused; None asks for
            more than chance.
    """

    is_teacher: ClassVar[bool]

    @property
    def minimum_accuracy(self) -> float | None:
        """Least validation accuracy, in [0, 1]; None asks for more than chance."""

    def known_classes(self) -> tuple[str, ...] | None:
        """The teacher's classes, for photos that have none; None where it cannot tell."""

    def build(self, target: Target) -> BuiltTeacher:
        """Read the teacher for a student.

        Raises:
            ConfigError: It does not fit.
            DataError: It cannot be read.
        """
