"""Match relations of probabilities by correlation (DIST; Huang et al. 2022, arXiv:2205.10536)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import LEAST_SPREAD, logit_pair


@dataclass(frozen=True)
class Distillation(Method):
    """Lack of correlation of an image's row of probabilities, and of the classes' columns.

    T² (inter_weight · (1 - r of the row) + intra_weight · (1 - mean r of the columns)), r being
    Pearson's correlation of softmax probabilities. A column of one image has none: with batches of
    1 the second term is the constant `intra_weight` T² without gradient.

    Attributes:
        temperature: Divisor of both models' logits, above 0.
        inter_weight: Factor of the correlation between classes, of each image.
        intra_weight: Factor of the correlation between images, of each class.
        standardise: Bring each row of logits to mean 0 and deviation 1 first.
    """

    temperature: float
    inter_weight: float
    intra_weight: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "Give a number above 0.")
        for field in ("inter_weight", "intra_weight"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Lack of correlation, times T², float32 (batch,)."""
        ours, theirs = logit_pair(student, teacher, self.standardise)
        p = ops.softmax(theirs / self.temperature)
        q = ops.softmax(ours / self.temperature)
        inter = 1.0 - _correlation(q, p, axis=1)
        intra = 1.0 - ops.mean(_correlation(batch.all(q), batch.all(p), axis=0))
        return self.temperature**2 * (self.inter_weight * inter + self.intra_weight * intra)


def _correlation(first: Tensor, second: Tensor, axis: int) -> Tensor:
    """Pearson's correlation along an axis; 0 where a vector is constant.

    The first is taken to spread a tenth as far as the second at least (see `_logits`).
    """
    first = first - ops.mean(first, axis=axis, keepdims=True)
    second = second - ops.mean(second, axis=axis, keepdims=True)
    length = _length(second, axis)
    lengths = ops.maximum(_length(first, axis), LEAST_SPREAD * length) * length
    return ops.sum(first * second, axis=axis) / (lengths + 1e-8)


def _length(vectors: Tensor, axis: int) -> Tensor:
    """Euclidean length with a finite gradient at 0."""
    return ops.sqrt(ops.maximum(ops.sum(ops.square(vectors), axis=axis), 1e-24))
