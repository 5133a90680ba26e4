"""Variational information distillation (Ahn et al., CVPR 2019, arXiv:1904.05835)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image
from tlcli.options.distillation._maps import common_size


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Gaussian negative log-likelihood of the teacher's maps given the student's, over stages.

    Mean over pixels and channels of ((mean - map)² / variance + log variance) / 2, with one learned
    variance a channel. The bigger map is averaged to the smaller.

    Attributes:
        variance: Initial variance, above `variance_floor`.
        variance_floor: Least variance, above 0.
    """

    variance: float
    variance_floor: float

    connects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        floor = self.variance_floor
        require(floor > 0, "distillation.variance_floor", floor, "Give a number above 0.")
        above = self.variance > floor
        remedy = f"Give a number above {floor}."
        require(above, "distillation.variance", self.variance, remedy)

    def state(self, shapes: Shapes) -> State:
        """Mean network and variances of each stage."""
        from tlcli.options.distillation._states import Modules, Variational

        pairs = enumerate(self.shape_pairs(shapes))
        return Modules(
            [
                Variational(s[2], t[2], self.variance, self.variance_floor, 3 * i)
                for i, (s, t) in pairs
            ]
        )

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Negative log-likelihood less its constant, in nats, float32 (batch,)."""
        total = 0.0
        for index, pair in enumerate(self.map_pairs(student.features, teacher.features)):
            ours, theirs = common_size(*pair)
            part = state.part(index)
            variance = part.variance()
            squares = ops.square(part.mean(ours) - theirs)
            total += 0.5 * per_image(squares / variance + ops.log(variance))
        return total
