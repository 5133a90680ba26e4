"""Reuse the teacher's classifier (SimKD; Chen et al., CVPR 2022, arXiv:2203.14001)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.distillation import Batch, Outputs, Shapes
from tlcli.distillation._common import FeatureMethod, per_image
from tlcli.distillation._maps import common_size
from tlcli.errors import require
from tlcli.lazy import Tensor, ops


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Mean squared difference of the teacher's last map and the student's projected one, unpooled.

    The student that is evaluated and exported is its backbone, `state.projector` and the teacher's
    pooling and head: larger than the student alone. The bigger map is averaged to the smaller.

    Attributes:
        factor: Teacher's channels over those inside the projector, at least 1.
        activation: Of the projector's end; "relu" only fits maps that are not negative.
    """

    factor: int
    activation: Literal["relu", "linear"]

    signals: ClassVar[frozenset[str]] = frozenset({"features", "teacher_head"})
    default_stages: ClassVar[tuple[int, ...]] = (-1,)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.factor >= 1, "distillation.factor", self.factor, "Give a number of at least 1."
        )
        last = self.stages is None or self.stages == (-1,)
        require(last, "distillation.stages", self.stages, "Give null: the last map feeds the head.")

    @property
    def replaces_head(self) -> bool:
        """The student ends in `state.projector` and the teacher's head."""
        return True

    def state(self, shapes: Shapes) -> Any:
        """A layer whose `projector` turns the student's last map into the teacher's channels."""
        from tlcli.distillation._states import HeadReplacement, Projector

        ours, theirs = self.shape_pairs(shapes)[0]
        return HeadReplacement(Projector(ours[2], theirs[2], self.factor, self.activation))

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean squared difference, float32 (batch,)."""
        ours, theirs = self.map_pairs(student.features, teacher.features)[0]
        projected, theirs = common_size(state.projector(ours, training=True), theirs)
        return per_image(ops.square(projected - theirs))
