"""No teacher."""

from dataclasses import dataclass
from typing import ClassVar

from tlcli.contracts.teacher import BuiltTeacher, Target
from tlcli.errors import ConfigError


@dataclass(frozen=True)
class Teacher:
    """Nothing to learn from but the labels."""

    is_teacher: ClassVar[bool] = False
    minimum_accuracy: ClassVar[None] = None

    def known_classes(self) -> None:
        """None: it knows no classes."""

    def build(self, target: Target) -> BuiltTeacher:
        """There is nothing to build.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("teacher", "there is none", "Give teacher=run teacher.path=RUN.")
