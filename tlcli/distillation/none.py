"""No teacher: the labels alone. The path of plain transfer learning."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.distillation import Batch, Outputs
from tlcli.distillation._common import Method
from tlcli.lazy import Tensor


@dataclass(frozen=True)
class Distillation(Method):
    """Label loss only."""

    needs_teacher: ClassVar[bool] = False

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Nothing: 0."""
        return 0.0
