"""Correlation congruence (Peng et al., ICCV 2019, arXiv:1904.01802), as in the CRD benchmark."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method


@dataclass(frozen=True)
class Distillation(Method):
    """Mean over neighbours in the batch of Σ |difference of one| · |difference of the next|.

    The difference of an image is that of the two linear embeddings. This is the form of the CRD
    benchmark (arXiv:1910.10699), not the kernels of the paper. A batch of 1 gives 0.

    Attributes:
        embedding_size: Dimension of the embeddings.
    """

    embedding_size: int

    signals: ClassVar[frozenset[str]] = frozenset({"embedding"})

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.embedding_size
        require(size > 0, "distillation.embedding_size", size, "Give a whole number above 0.")

    def state(self, shapes: Shapes) -> State:
        """The two linear embeddings."""
        from tlcli.options.distillation._states import Embeddings

        sizes = shapes.student_embedding, shapes.teacher_embedding
        return Embeddings(*sizes, self.embedding_size)

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Congruence of neighbours, float32 scalar."""
        ours, theirs = state.student(student.embedding), state.teacher(teacher.embedding)
        differences = batch.all(ops.abs(ours - theirs))
        products = ops.sum(differences[:-1] * differences[1:])
        neighbours = ops.cast(ops.shape(differences)[0], "float32") - 1.0
        return products / ops.maximum(neighbours, 1.0)
