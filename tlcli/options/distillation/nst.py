"""Neuron selectivity transfer (Huang and Wang 2017, arXiv:1707.01219)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, unit
from tlcli.options.distillation._maps import common_size


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Squared MMD, kernel (x·y)², between the channels' spatial patterns, summed over stages.

    Each channel's pattern has length 1. The bigger map is averaged to the smaller.
    """

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Discrepancy, float32 (batch,)."""
        total = 0.0
        for pair in self.map_pairs(student.features, teacher.features):
            ours, theirs = (_patterns(maps) for maps in common_size(*pair))
            total += _kernel(ours, ours) + _kernel(theirs, theirs) - 2 * _kernel(ours, theirs)
        return total


def _patterns(maps: Tensor) -> Tensor:
    """Spatial pattern of each channel, length 1, float32 (batch, pixels, channels)."""
    flat = ops.reshape(maps, (-1, maps.shape[1] * maps.shape[2], maps.shape[3]))
    return unit(flat, axis=1)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """Mean over all pairs of channels of the squared product of patterns, float32 (batch,).

    Σ_ij (x_i·y_j)² is also the product of the two pixel Gram matrices: the smaller form is taken,
    and never an array of (channels, channels, pixels).
    """
    pixels, channels = first.shape[1], first.shape[2]
    if pixels <= min(channels, second.shape[2]):
        grams = (ops.einsum("bpc,bqc->bpq", x, x) / x.shape[2] for x in (first, second))
        return ops.sum(next(grams) * next(grams), axis=(1, 2))
    products = ops.einsum("bpc,bpd->bcd", first, second)
    return ops.mean(ops.square(products), axis=(1, 2))
