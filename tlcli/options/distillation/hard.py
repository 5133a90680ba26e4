"""Take the teacher's most probable class as label (DeiT; Touvron et al. 2021, arXiv:2012.12877)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import logit_pair, weighted_cross_entropy


@dataclass(frozen=True)
class Distillation(Method):
    """Cross-entropy of the student with the teacher's decision.

    Attributes:
        label_smoothing: Share of the target that is spread over all classes, in [0, 1).
        standardise: Bring each row of the student's logits to mean 0 and deviation 1 first. The
            teacher's decision stays, and the student can never be sure: its logits are bounded.
    """

    label_smoothing: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        share = self.label_smoothing
        require(0 <= share < 1, "distillation.label_smoothing", share, "Give 0 to below 1.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Cross-entropy in nats, float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        classes = ours.shape[-1]
        decision = ops.one_hot(ops.argmax(theirs, axis=-1), classes, dtype="float32")
        share = self.label_smoothing
        return weighted_cross_entropy((1 - share) * decision + share / classes, ours)
