"""Reuse the teacher's classifier (SimKD; Chen et al., CVPR 2022, arXiv:2203.14001)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method, per_image
from tlcli.options.distillation._maps import common_size


@dataclass(frozen=True)
class Distillation(Method):
    """Mean squared difference of the teacher's last map and the student's projected one, unpooled.

    The student that is evaluated and exported is its backbone, a projector and the teacher's
    pooling and head: larger than the student alone. The bigger map is averaged to the smaller, the
    student's after its projector: the exported student keeps its resolution, and its inputs need no
    knowledge of the teacher's. The authors average a larger student's map before the projector.

    Attributes:
        factor: Teacher's channels over those inside the projector, at least 1.
        activation: Of the projector's end; "relu" only fits maps that are not negative.
    """

    factor: int
    activation: Literal["relu", "linear"]

    signals: ClassVar[frozenset[str]] = frozenset({"head_map"})

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.factor >= 1, "distillation.factor", self.factor, "Give a number of at least 1."
        )

    @property
    def projector(self) -> dict[str, Any]:
        """What the student's projector is made of."""
        return {"factor": self.factor, "activation": self.activation}

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean squared difference, float32 (batch,)."""
        ours, theirs = common_size(student.head_map, teacher.head_map)
        return per_image(ops.square(ours - theirs))
