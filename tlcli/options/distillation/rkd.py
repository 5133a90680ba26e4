"""Relations of distance and angle (RKD; Park et al., CVPR 2019, arXiv:1904.05068)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method, per_image, unit


@dataclass(frozen=True)
class Distillation(Method):
    """Huber differences of pairwise distances and of angles between triples of embeddings.

    Distances are divided by the mean of the positive ones, then averaged over batch²; angles are
    averaged over batch³, the memory they need besides batch² embeddings.

    Attributes:
        distance_weight: Factor of the distances' term.
        angle_weight: Factor of the angles' term; 0 also saves its memory.
    """

    distance_weight: float
    angle_weight: float

    signals: ClassVar[frozenset[str]] = frozenset({"embedding"})

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("distance_weight", "angle_weight"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Weighted relations of each image to the others, float32 (batch,)."""
        ours, theirs = batch.all(student.embedding), batch.all(teacher.embedding)
        ours, theirs = (e[None, :, :] - e[:, None, :] for e in (ours, theirs))
        total = self.distance_weight * per_image(_huber(_distances(ours) - _distances(theirs)))
        if self.angle_weight:
            total += self.angle_weight * per_image(_huber(_angles(ours) - _angles(theirs)))
        return batch.mine(total)


def _huber(differences: Tensor) -> Tensor:
    """Half the square below 1, the absolute value less one half above."""
    size = ops.abs(differences)
    return ops.where(size < 1.0, 0.5 * ops.square(size), size - 0.5)


def _distances(differences: Tensor) -> Tensor:
    """Distances over the mean of the positive ones, float32 (batch, batch)."""
    squares = ops.sum(ops.square(differences), axis=-1)
    apart = 1.0 - ops.eye(ops.shape(squares)[0], dtype="float32")
    distances = apart * ops.sqrt(ops.maximum(squares, 1e-12))
    number = ops.maximum(ops.sum(apart), 1.0)
    return distances / ops.maximum(ops.sum(distances) / number, 1e-12)


def _angles(differences: Tensor) -> Tensor:
    """Cosine of the angle at image i between images j and k, float32 (batch, batch, batch)."""
    directions = unit(differences)
    return ops.einsum("ijd,ikd->ijk", directions, directions)
