"""No teacher."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Teacher:
    """Nothing to learn from but the labels."""

    is_teacher: ClassVar[bool] = False
