"""Match the teacher's logits (Ba and Caruana, NIPS 2014, arXiv:1312.6184)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method, per_image
from tlcli.options.distillation._logits import logit_pair


@dataclass(frozen=True)
class Distillation(Method):
    """Mean over classes of the squared difference of logits.

    Attributes:
        standardise: Bring each row of logits to mean 0 and deviation 1 first; without it the term
            depends on the scale and the offset of the logits. Needs 3 classes.
    """

    standardise: bool

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 1

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Mean squared difference, float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        return per_image(ops.square(ours - theirs))
