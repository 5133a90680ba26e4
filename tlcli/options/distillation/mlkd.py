"""Multi-level logit distillation (Jin et al., CVPR 2023), after the paper's equations.

For every temperature: divergence of each image, and squared distance of the Gram matrices of
probabilities between images (batch level) and between classes (class level). The released code
differs: it averages the divergence before it masks confident images, and its strong views partly
read the weak views' logits. Here masks act on single images and classes, and one view is compared,
the one that student and teacher both see.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import logit_pair, soft_divergence


@dataclass(frozen=True)
class Distillation(Method):
    """Sum over temperatures of instance, batch and class terms.

    Attributes:
        temperatures: Divisors of both models' logits, each above 0.
        instance_weight, batch_weight, class_weight: Factors of the three terms.
        confidence_quantile: Only images, and classes in the class term, whose teacher confidence
            is at most this quantile of the batch take part; 1 takes all, as the paper does.
        standardise: Standardise the logits of the instance term (arXiv:2403.01427).
    """

    temperatures: tuple[float, ...]
    instance_weight: float
    batch_weight: float
    class_weight: float
    confidence_quantile: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        good = bool(self.temperatures) and min(self.temperatures) > 0
        remedy = "Give a list of numbers above 0."
        require(good, "distillation.temperatures", self.temperatures, remedy)
        for field in ("instance_weight", "batch_weight", "class_weight"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")
        share = self.confidence_quantile
        require(0 < share <= 1, "distillation.confidence_quantile", share, "Give above 0, up to 1.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Sum of the three terms, float32 (batch,)."""
        student, teacher = (replace(o, logits=batch.all(o.logits)) for o in (student, teacher))
        probabilities = ops.softmax(teacher.logits)
        images = self._mask(ops.max(probabilities, axis=-1))
        classes = self._mask(ops.sum(probabilities, axis=0))
        ours, theirs = logit_pair(student, teacher, self.standardise)
        total = 0.0
        for temperature in self.temperatures:
            instance = images * soft_divergence(ours, theirs, temperature)
            p = ops.softmax(teacher.logits / temperature)
            q = ops.softmax(student.logits / temperature)
            between = images * _gram_distance(q, p)
            across = ops.mean(classes * _gram_distance(ops.transpose(q), ops.transpose(p)))
            total += self.instance_weight * instance + self.batch_weight * between
            total += self.class_weight * across
        return batch.mine(total)

    def _mask(self, confidence: Tensor) -> Tensor:
        """1 where the confidence is at most the batch's quantile, else 0."""
        if self.confidence_quantile == 1:
            return ops.ones_like(confidence)
        limit = ops.quantile(confidence, self.confidence_quantile)
        return ops.cast(confidence <= limit, "float32")


def _gram_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of each row of the two Gram matrices, float32 (rows,)."""
    ours = ops.matmul(student, ops.transpose(student))
    theirs = ops.matmul(teacher, ops.transpose(teacher))
    return ops.sum(ops.square(ours - theirs), axis=-1)
