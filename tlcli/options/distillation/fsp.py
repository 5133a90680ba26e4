"""Flow of solution procedure (Yim et al., CVPR 2017)."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from tlcli.contracts.distillation import NO_STATE, Batch, Outputs, Shapes, State
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image
from tlcli.options.distillation._maps import common_size


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Mean squared difference of the Gram matrices between consecutive stages, summed over them.

    A matrix is Σ over pixels of products of channels, over the number of pixels; the bigger map is
    averaged to the smaller. The paper needs equal channels; where they differ, a learned 1x1
    convolution brings the student's to the teacher's.
    """

    min_stages: ClassVar[int] = 2
    connects: ClassVar[bool] = True

    def state(self, shapes: Shapes) -> State:
        """A 1x1 convolution for each stage whose channels differ, or nothing when all are equal."""
        from tlcli.options.distillation._states import Block, Modules

        channels = [(s[2], t[2]) for s, t in self.shape_pairs(shapes)]
        if all(ours == theirs for ours, theirs in channels):
            return NO_STATE
        return Modules(
            [
                Block(pair, index, normalise=False) if pair[0] != pair[1] else None
                for index, pair in enumerate(channels)
            ]
        )

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean squared difference of flows, float32 (batch,)."""
        pairs = self.map_pairs(student.features, teacher.features)
        held = state not in (None, NO_STATE)
        parts = [state.part(index) if held else None for index in range(len(pairs))]
        ours = [part(pair[0]) if part else pair[0] for part, pair in zip(parts, pairs, strict=True)]
        theirs = [pair[1] for pair in pairs]
        total = 0.0
        for our_pair, their_pair in zip(pairwise(ours), pairwise(theirs), strict=True):
            total += per_image(ops.square(_flow(*our_pair) - _flow(*their_pair)))
        return total


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """Gram matrix between two maps over their pixels, float32 (batch, channels, channels)."""
    first, second = common_size(first, second)
    pixels = first.shape[1] * first.shape[2]
    return ops.einsum("bhwc,bhwd->bcd", first, second) / pixels
