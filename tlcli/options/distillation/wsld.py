"""Soft labels weighted by the student's lag (Zhou et al., ICLR 2021, arXiv:2102.00650)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import logit_pair, weighted_cross_entropy


@dataclass(frozen=True)
class Distillation(Method):
    """T² cross-entropy with the soft targets, times 1 - exp(-student's CE / teacher's CE).

    The weight has no gradient. Soft labels enter both cross-entropies as they are.

    Attributes:
        temperature: Divisor of both models' logits, above 0.
        standardise: Bring each row of logits to mean 0 and deviation 1 first; the weight is that of
            the logits as they are.
    """

    temperature: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = True

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "Give a number above 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Weighted cross-entropy in nats, float32 (batch,)."""
        labels = ops.cast(batch.labels, "float32")
        lag = weighted_cross_entropy(labels, ops.stop_gradient(student.logits))
        norm = weighted_cross_entropy(labels, teacher.logits)
        weight = 1.0 - ops.exp(-lag / (norm + 1e-7))
        ours, theirs = logit_pair(student, teacher, self.standardise)
        soft_targets = ops.softmax(theirs / self.temperature)
        soft = weighted_cross_entropy(soft_targets, ours / self.temperature)
        return self.temperature**2 * weight * soft
