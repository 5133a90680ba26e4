"""Probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018, arXiv:1803.10837)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method, per_image, unit


@dataclass(frozen=True)
class Distillation(Method):
    """KL of the batch's conditional similarities, as mean over batch² (hence the large weight).

    Similarities are (cosine + 1) / 2, divided by their sum over a row.
    """

    signals: ClassVar[frozenset[str]] = frozenset({"embedding"})

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean over its row of each image's divergence, float32 (batch,)."""
        ours, theirs = (_conditional(batch.all(o.embedding)) for o in (student, teacher))
        return batch.mine(per_image(theirs * (ops.log(theirs + 1e-7) - ops.log(ours + 1e-7))))


def _conditional(embedding: Tensor) -> Tensor:
    """Probability of each image given each, rows sum to 1, float32 (batch, batch)."""
    directions = unit(embedding)
    similarities = (ops.matmul(directions, ops.transpose(directions)) + 1.0) / 2.0
    return similarities / ops.sum(similarities, axis=1, keepdims=True)
