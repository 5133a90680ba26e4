"""Decoupled distillation of target and other classes (Zhao et al., CVPR 2022, arXiv:2203.08679).

Soft labels (MixUp, CutMix, smoothing) take the expectation over the label: the term of each class
as target, weighted by its share. One-hot labels give the published term.
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
    """T² (target_weight · KL target or not + nontarget_weight · KL among the others).

    Attributes:
        temperature: Divisor of both models' logits, above 0.
        target_weight: Factor of the divergence of target against rest (the paper's alpha).
        nontarget_weight: Factor of the divergence among the other classes (the paper's beta).
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
        """Decoupled divergence in nats, float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        log_p = ops.log_softmax(theirs / self.temperature)
        log_q = ops.log_softmax(ours / self.temperature)
        log_not_p, log_not_q = log_complement(log_p), log_complement(log_q)
        target = ops.exp(log_p) * (log_p - log_q) + ops.exp(log_not_p) * (log_not_p - log_not_q)
        others = mean_outside(log_p, log_p - log_q) - log_not_p + log_not_q
        terms = self.target_weight * target + self.nontarget_weight * others
        labels = ops.cast(batch.labels, "float32")
        return self.temperature**2 * ops.sum(labels * terms, axis=-1)
