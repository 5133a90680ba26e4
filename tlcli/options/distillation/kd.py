"""Match the teacher's soft targets (Hinton et al. 2015, arXiv:1503.02531).

`standardise` matches standardised logits instead (Sun et al., CVPR 2024, arXiv:2403.01427). With a
copy of the student that was trained before as teacher, this is Tf-KD self (arXiv:1909.11723) and
born-again distillation (arXiv:1805.04770).
"""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import bernoulli_divergence, logit_pair, soft_divergence


@dataclass(frozen=True)
class Distillation(Method):
    """T² KL(teacher ‖ student), sum over classes; independent classes: sum of Bernoulli KLs.

    Attributes:
        temperature: Divisor of both models' logits, above 0. Higher is softer.
        standardise: Bring each row of logits to mean 0 and deviation 1 first.
    """

    temperature: float
    standardise: bool

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "Give a number above 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Divergence from the soft targets, in nats, float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        if batch.multi_label:
            return bernoulli_divergence(ours, theirs, self.temperature)
        return soft_divergence(ours, theirs, self.temperature)
