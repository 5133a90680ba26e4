"""Overhauled feature distillation (Heo et al., ICCV 2019, arXiv:1904.01866)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.lazy import Tensor, np, ops
from tlcli.options.distillation._common import FeatureMethod
from tlcli.options.distillation._maps import Meeting

_RARE = 1e-3


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Partial squared distance before the activation, summed over pixels and channels.

    The teacher's map passes max(x, margin), the margin of a channel being the expectation of its
    negative values under a normal distribution, or -3 deviations where fewer than 1 in 1000 are
    negative. Mean and deviation come from `Shapes.teacher_norms`, else from the batch. Where the
    student is below the teacher and the teacher at most 0, nothing is counted. The deepest stage
    has factor 1, each shallower one half of the next. The student passes a 1x1 convolution and
    BatchNorm. The teacher's BatchNorms stay in inference mode; the paper's run in training mode.
    """

    signals: ClassVar[frozenset[str]] = frozenset({"preactivations"})
    connects: ClassVar[bool] = True
    meets: ClassVar[Meeting] = "teacher"

    def state(self, shapes: Shapes) -> State:
        """A connector for each stage, and the margins that are known before the data."""
        from tlcli.options.distillation._adapter import Adapter
        from tlcli.options.distillation._states import Modules

        pairs = enumerate(self.shape_pairs(shapes))
        modules = Modules([Adapter(s, t, i, normalise=True) for i, (s, t) in pairs])
        modules.margins = None
        if shapes.teacher_norms:
            ours, theirs = shapes.student_features, shapes.teacher_features
            indices = self.indices(ours, theirs)
            modules.margins = [margins(*shapes.teacher_norms[j]) for _, j in indices]
        return modules

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Sum over stages of the partial squared distance, float32 (batch,)."""
        pairs = self.map_pairs(student.preactivations, teacher.preactivations)
        total = 0.0
        for index, (ours, theirs) in enumerate(pairs):
            margin = batch_margins(theirs) if state.margins is None else state.margins[index]
            target = ops.maximum(theirs, margin)
            connected = state.part(index)(ours, theirs)
            counted = ops.logical_or(connected > target, target > 0)
            squares = ops.where(counted, ops.square(connected - target), 0.0)
            total += ops.sum(squares, axis=(1, 2, 3)) / 2 ** (len(pairs) - 1 - index)
        return total


def margins(mean: Any, deviation: Any) -> Any:
    """Margin of each channel from the mean and deviation of its normal distribution.

    Args:
        mean: (channels,), as a BatchNorm's offset.
        deviation: (channels,), as a BatchNorm's absolute scale.

    Returns:
        float32 numpy (channels,), below 0.
    """
    found = []
    for mu, scale in zip(map(float, mean), map(float, deviation), strict=True):
        sigma = max(abs(scale), 1e-12)
        negative = 0.5 * math.erfc(mu / sigma / math.sqrt(2.0))
        density = math.exp(-0.5 * (mu / sigma) ** 2) / math.sqrt(2.0 * math.pi)
        found.append(mu - sigma * density / negative if negative > _RARE else -3.0 * sigma)
    return np.asarray(found, "float32")


def batch_margins(maps: Tensor) -> Tensor:
    """Margin of each channel from the mean and deviation in the batch, float32 (channels,)."""
    mean, variance = ops.moments(maps, axes=(0, 1, 2))
    deviation = ops.sqrt(ops.maximum(variance, 1e-24))
    scores = mean / deviation
    negative = 0.5 * (1.0 - ops.erf(scores / math.sqrt(2.0)))
    density = ops.exp(-0.5 * ops.square(scores)) / math.sqrt(2.0 * math.pi)
    expected = mean - deviation * density / ops.maximum(negative, _RARE)
    return ops.where(negative > _RARE, expected, -3.0 * deviation)
