"""Knowledge review: deep stages help shallow ones (Chen et al., CVPR 2021, arXiv:2104.09044)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image
from tlcli.options.distillation._maps import Meeting, resized


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Distance at several scales of the teacher's maps and the student's fused ones.

    From the deepest (the pooled embedding) to the shallowest: 1x1 convolution, fusion with the
    deeper result by two learned attention maps, 3x3 convolution. Maps change size by repeating
    pixels. The distance is the mean square at full size and averaged to 4, 2 and 1 pixels a side,
    with factors 1, 1/2, 1/4, 1/8 over their sum; sizes that a map does not exceed are left out.

    Attributes:
        tap: Maps before or after the stage's activation; the paper takes those before.
        middle_channels: Most channels of the fused maps; else those of the student's last stage.
    """

    tap: Literal["features", "preactivations"]
    middle_channels: int

    default_stages: ClassVar[tuple[int, ...]] = (-3, -2, -1)
    connects: ClassVar[bool] = True
    meets: ClassVar[Meeting] = "teacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        channels = self.middle_channels
        require(channels > 0, "distillation.middle_channels", channels, "Give a number above 0.")

    @property
    def needs(self) -> frozenset[str]:
        """Signals beyond logits."""
        return frozenset({self.tap, "embedding"})

    def state(self, shapes: Shapes) -> State:
        """A fusion for the embedding and for each stage, from the deepest."""
        from tlcli.options.distillation._states import Fusion, Modules

        channels = [(s[2], t[2]) for s, t in reversed(self.shape_pairs(shapes))]
        middle = min(self.middle_channels, channels[0][0])
        pooled = (shapes.student_embedding, shapes.teacher_embedding)
        return Modules(
            [
                Fusion(ours, middle, theirs, index > 0, 3 * index)
                for index, (ours, theirs) in enumerate([pooled, *channels])
            ]
        )

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Sum over stages of the distance at several scales, float32 (batch,)."""
        pooled = tuple(o.embedding[:, None, None, :] for o in (student, teacher))
        maps = self.map_pairs(getattr(student, self.tap), getattr(teacher, self.tap))
        deeper, total = None, 0.0
        for index, (ours, theirs) in enumerate([pooled, *reversed(maps)]):
            result, deeper = _fused(state.part(index), ours, deeper, theirs.shape[1:3])
            total += _scales_distance(result, theirs)
        return total


def _fused(part: Any, maps: Tensor, deeper: Tensor, size: Any) -> tuple[Tensor, Tensor]:
    """The result at the teacher's channels and size, and what the next shallower stage gets."""
    maps = part.inward(maps, training=True)
    if deeper is not None:
        deeper = resized(deeper, maps.shape[1], maps.shape[2], nearest=True)
        attention = part.attention(ops.concatenate([maps, deeper], axis=-1))
        maps = maps * attention[..., :1] + deeper * attention[..., 1:]
    result = part.outward(resized(maps, size[0], size[1], nearest=True), training=True)
    return result, maps


def _scales_distance(first: Tensor, second: Tensor) -> Tensor:
    """Weighted mean of mean squares at several sizes, float32 (batch,)."""
    total, factor, factors = per_image(ops.square(first - second)), 1.0, 1.0
    for side in (4, 2, 1):
        if side < first.shape[1] and side < first.shape[2]:
            factor /= 2.0
            difference = resized(first - second, side, side)
            total += factor * per_image(ops.square(difference))
            factors += factor
    return total / factors
