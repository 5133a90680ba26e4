"""No teacher: the labels alone. The path of plain transfer learning."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.lazy import Tensor
from tlcli.options.distillation._common import Method


@dataclass(frozen=True)
class Distillation(Method):
    """Label loss only."""

    distils: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Nothing: 0."""
        return 0.0
