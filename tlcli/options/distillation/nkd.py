"""Normalised distillation (Yang et al., ICCV 2023, arXiv:2303.13005).

Soft labels take the expectation over the label, as in `dkd`; one-hot labels give the published
term.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import log_complement, logit_pair, mean_outside


@dataclass(frozen=True)
class Distillation(Method):
    """Teacher-weighted cross-entropy of the target plus cross-entropy among the other classes.

    Attributes:
        temperature: Divisor of both models' logits among the other classes (the paper's lambda);
            the target's term is at temperature 1.
        target_weight: Factor of the target's term.
        nontarget_weight: Factor of the others' term, times temperature² (the paper's gamma).
        standardise: Bring each row of logits to mean 0 and deviation 1 first.
    """

    temperature: float
    target_weight: float
    nontarget_weight: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False
    min_classes: ClassVar[int] = 3
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "Give a number above 0.")
        for field in ("target_weight", "nontarget_weight"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Cross-entropies in nats, float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        target = -ops.softmax(theirs) * ops.log_softmax(ours)
        log_p = ops.log_softmax(theirs / self.temperature)
        log_q = ops.log_softmax(ours / self.temperature)
        others = log_complement(log_q) - mean_outside(log_p, log_q)
        factor = self.nontarget_weight * self.temperature**2
        labels = ops.cast(batch.labels, "float32")
        return ops.sum(labels * (self.target_weight * target + factor * others), axis=-1)
