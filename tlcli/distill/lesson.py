"""What a student learns from besides labels."""

from dataclasses import dataclass, field
from typing import Any

from tlcli.contracts.backbone import HeadReport
from tlcli.contracts.distillation import Method, State
from tlcli.distill.teaching import Teaching
from tlcli.models.student import Student


@dataclass(frozen=True)
class Lesson:
    """A student with its method of distillation; of plain transfer learning all else is null.

    Attributes:
        student: The network that is trained, with the outputs that the method compares.
        method: Distillation method.
        state: Its connectors, memories and networks beside the student.
        teacher: The teacher, or a null one.
        borrowed: What a head taken from the teacher is made of (see models.borrowed_head), or None.
        fixed: Names of layers that no phase trains.
        head: What the student's head begins with.
    """

    student: Student
    method: Method
    state: State
    teacher: Teaching
    borrowed: dict[str, Any] | None = None
    fixed: tuple[str, ...] = ()
    head: HeadReport = field(default_factory=HeadReport)

    @property
    def variables(self) -> list[Any]:
        """All variables of student and method."""
        return [*self.student.model.variables, *self.state.variables]
