"""Fields that every teacher has, and their checks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tlcli.errors import require


@dataclass(frozen=True)
class Base:
    """What all teachers share.

    Attributes:
        minimum_accuracy: Least validation accuracy, in [0, 1]; None asks for more than chance.
        cache: "auto" computes the teacher's outputs once where views repeat, "off" never does.
    """

    minimum_accuracy: float | None
    cache: Literal["auto", "off"]

    is_teacher: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = self.minimum_accuracy
        require(
            least is None or 0 <= least <= 1,
            "teacher.minimum_accuracy", least, "Give a number in [0, 1], or null.",
        )  # fmt: skip
