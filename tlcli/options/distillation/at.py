"""Attention transfer (Zagoruyko and Komodakis, ICLR 2017, arXiv:1612.03928)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image, unit
from tlcli.options.distillation._maps import common_size


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Mean over pixels of the squared difference of attention maps, summed over stages.

    A map's attention is the mean over channels of its absolute value to a power, as a vector of
    length 1. The bigger map is averaged to the smaller.

    Attributes:
        power: Exponent of the absolute values, above 0.
    """

    power: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.power > 0, "distillation.power", self.power, "Give a number above 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Difference of attention, float32 (batch,)."""
        total = 0.0
        for pair in self.map_pairs(student.features, teacher.features):
            ours, theirs = common_size(*pair)
            total += per_image(ops.square(self._attention(ours) - self._attention(theirs)))
        return total

    def _attention(self, maps: Tensor) -> Tensor:
        """Attention of each pixel, vectors of length 1, float32 (batch, height * width)."""
        powers = ops.square(maps) if self.power == 2 else _power(ops.abs(maps), self.power)
        means = ops.mean(powers, axis=-1)
        return unit(ops.reshape(means, (-1, means.shape[1] * means.shape[2])))


def _power(values: Tensor, exponent: float) -> Tensor:
    """Values of at least 0 to a power, with a finite gradient at 0."""
    positive = values > 0
    return ops.where(positive, ops.power(ops.where(positive, values, 1.0), exponent), 0.0)
