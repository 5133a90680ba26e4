"""Hints: regress the teacher's maps (FitNets; Romero et al., ICLR 2015, arXiv:1412.6550)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image
from tlcli.options.distillation._maps import Meeting


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Mean squared difference of the teacher's map and a regressor on the student's, over stages.

    The regressor is a 1x1 convolution, BatchNorm, the activation and a change of size.

    Attributes:
        activation: Of the regressor; "relu" only fits maps that are not negative.
    """

    activation: Literal["relu", "linear"]

    default_stages: ClassVar[tuple[int, ...]] = (-2,)
    connects: ClassVar[bool] = True
    meets: ClassVar[Meeting] = "teacher"

    def state(self, shapes: Shapes) -> State:
        """A regressor for each stage."""
        from tlcli.options.distillation._adapter import Adapter
        from tlcli.options.distillation._states import Modules

        pairs = enumerate(self.shape_pairs(shapes))
        return Modules(
            [Adapter(s, t, i, normalise=True, activation=self.activation) for i, (s, t) in pairs]
        )

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Sum over stages of the mean squared difference, float32 (batch,)."""
        total = 0.0
        pairs = self.map_pairs(student.features, teacher.features)
        for index, (ours, theirs) in enumerate(pairs):
            regressed = state.part(index)(ours, theirs)
            total += per_image(ops.square(regressed - theirs))
        return total
