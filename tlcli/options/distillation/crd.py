"""Contrastive representation distillation (Tian et al., ICLR 2020, arXiv:1910.10699)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import ConfigError, require
from tlcli.lazy import Tensor, np, ops, tf
from tlcli.options.distillation._common import Method, as_float32, constant, unit


@dataclass(frozen=True)
class Distillation(Method):
    """Tell an image's other embedding from those of images of other classes, in both directions.

    Memories hold an embedding of every training image for each model. The positive of an image is
    its own row; negatives are drawn anew each step from `Batch.seed`, with replacement, among
    images of other classes. Products with the whole memory are taken, batch x samples numbers,
    which is less than the embeddings of all negatives. h = exp(product / temperature) / constant;
    the constants are set by the first batch and then stay.

    Attributes:
        negatives: Draws for each image (the paper's N), at least 1.
        temperature: Divisor of products of embeddings, above 0.
        momentum: Share of the old row when a memory moves, in [0, 1).
        embedding_size: Dimension of the embeddings.
    """

    negatives: int
    temperature: float
    momentum: float
    embedding_size: int

    signals: ClassVar[frozenset[str]] = frozenset({"embedding", "indices"})
    multi_label_ok: ClassVar[bool] = False
    min_classes: ClassVar[int] = 2
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("negatives", "temperature", "embedding_size"):
            value = getattr(self, field)
            require(value > 0, f"distillation.{field}", value, "Give a number above 0.")
        require(
            0 <= self.momentum < 1, "distillation.momentum", self.momentum, "Give 0 to below 1."
        )

    def checked(self, shapes: Shapes) -> None:
        """Refuse missing signals, and training images without classes or all of one class.

        Raises:
            ConfigError: See above.
        """
        super().checked(shapes)
        known = shapes.labels is not None and len(np.unique(np.asarray(shapes.labels))) > 1
        if not known:
            raise ConfigError(
                "distillation.name",
                "crd draws images of other classes, and the training images have no two classes",
                "Choose kd, or give labels.",
            )

    def state(self, shapes: Shapes) -> State:
        """Embeddings, memories (non-trainable) and constants (non-trainable)."""
        from tlcli.options.distillation._contrast import ContrastMemory

        sizes = shapes.student_embedding, shapes.teacher_embedding
        return ContrastMemory(*sizes, self.embedding_size, np.asarray(shapes.labels))

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Noise-contrastive loss in both directions, in nats, float32 (batch,)."""
        ours, theirs = _embedded(student, teacher, state)
        samples = state.student_bank.shape[0]
        total = 0.0
        for scores, stored in self._directions(batch, ours, theirs, state):
            first = _log_constant(scores, samples)
            constant_now = ops.where(state.started > 0.5, ops.convert_to_tensor(stored), first)
            total += _contrast(scores - constant_now, self.negatives / samples)
        return total

    def update(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any = None) -> None:
        """Set the constants at the first batch; move the batch's rows of both memories."""
        student, teacher = as_float32(student), constant(as_float32(teacher))
        ours, theirs = _embedded(student, teacher, state)
        samples = state.student_bank.shape[0]
        for scores, stored in self._directions(batch, ours, theirs, state):
            first = _log_constant(scores, samples)
            stored.assign(ops.where(state.started > 0.5, ops.convert_to_tensor(stored), first))
        state.started.assign(ops.ones_like(first))
        indices = _gathered(batch.indices)
        for bank, embedded in ((state.student_bank, ours), (state.teacher_bank, theirs)):
            _move(bank, indices, _gathered(embedded), self.momentum)

    def _directions(
        self, batch: Batch, ours: Tensor, theirs: Tensor, state: Any
    ) -> list[tuple[Tensor, Any]]:
        """Scores (batch, 1 + negatives), the positive first, and constant of each direction."""
        indices = ops.cast(batch.indices, "int32")
        others = batch.mine(state.by_class.others(batch.all(indices), self.negatives, batch.seed))
        chosen = ops.concatenate([indices[:, None], others], axis=1)
        pairs = (
            (ours, state.teacher_bank, state.student_constant),
            (theirs, state.student_bank, state.teacher_constant),
        )
        return [
            (tf.gather(_products(e, bank), chosen, batch_dims=1) / self.temperature, stored)
            for e, bank, stored in pairs
        ]


def _embedded(student: Outputs, teacher: Outputs, state: Any) -> tuple[Tensor, Tensor]:
    """Embeddings of both models, length 1, float32 (batch, size)."""
    ours = unit(state.embeddings.student(student.embedding))
    return ours, unit(state.embeddings.teacher(teacher.embedding))


def _products(embedded: Tensor, bank: Any) -> Tensor:
    """Products with every row of a memory, float32 (batch, samples)."""
    return ops.matmul(embedded, ops.transpose(ops.convert_to_tensor(bank)))


def _log_constant(scores: Tensor, samples: int) -> Tensor:
    """Logarithm of samples x mean of exp(scores) over all images, no gradient, float32 scalar."""
    rows = _gathered(ops.stop_gradient(ops.logsumexp(scores, axis=1)))
    number = ops.cast(ops.size(rows) * scores.shape[1], "float32")
    return ops.logsumexp(rows) - ops.log(number) + math.log(samples)


def _contrast(log_ratios: Tensor, noise: float) -> Tensor:
    """-[log h+/(h+ + noise) + Σ log noise/(h- + noise)], float32 (batch,).

    Args:
        log_ratios: log h (batch, 1 + negatives), the positive first.
        noise: Negatives over training images.
    """
    log_noise = math.log(noise + 1e-7)
    positive = ops.softplus(log_noise - log_ratios[:, 0])
    negative = ops.softplus(log_ratios[:, 1:] - log_noise) + log_noise - math.log(noise)
    return positive + ops.sum(negative, axis=1)


def _gathered(values: Tensor) -> Tensor:
    """Rows of all replicas, so that every replica moves its memories alike."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_gather(values, axis=0)


def _move(bank: Any, indices: Tensor, embedded: Tensor, momentum: float) -> None:
    """Move the rows of a memory towards embeddings, and back to length 1."""
    # An image that occurs twice takes its first embedding, or the result would depend on timing.
    same = ops.equal(indices[:, None], indices[None, :])
    embedded = ops.take(embedded, ops.argmax(ops.cast(same, "int32"), axis=1), axis=0)
    old = tf.gather(ops.convert_to_tensor(bank), indices)
    rows = unit(momentum * old + (1.0 - momentum) * embedded)
    bank.value.scatter_update(tf.IndexedSlices(rows, indices))
