"""Similarity-preserving distillation (Tung and Mori, ICCV 2019, arXiv:1907.09682)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image, unit
from tlcli.options.distillation._maps import Meeting


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Squared distance of the batch's similarity matrices over batch², summed over stages.

    Rows of a matrix are products of flattened maps, divided by the row's Euclidean length.
    """

    default_stages: ClassVar[tuple[int, ...]] = (-1,)
    meets: ClassVar[Meeting] = "apart"

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean squared difference of each image's row, float32 (batch,)."""
        total = 0.0
        for ours, theirs in self.map_pairs(student.features, teacher.features):
            ours, theirs = (_similarities(batch.all(_flat(maps))) for maps in (ours, theirs))
            total += per_image(ops.square(ours - theirs))
        return batch.mine(total)


def _flat(maps: Tensor) -> Tensor:
    """Maps as vectors, float32 (batch, height * width * channels)."""
    return ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2] * maps.shape[3]))


def _similarities(flat: Tensor) -> Tensor:
    """Similarity of each image with each, rows of length 1, float32 (batch, batch)."""
    return unit(ops.matmul(flat, ops.transpose(flat)))
