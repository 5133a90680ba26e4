"""Distillation methods: what a student learns from a teacher.

Each option is a frozen dataclass `Distillation` with the fields of the method, `hard_weight` (factor
of the label loss, which the loop adds), and

    needs: frozenset of signals beyond logits: "embedding", "features", "preactivations", "indices",
        "teacher_head"   (class attribute or property)

    def state(self, shapes: Shapes) -> keras.layers.Layer | None
        Trainable connectors and memories (banks, queues); None when there are none.

    def loss(self, batch: Batch, student: Outputs, teacher: Outputs, state) -> float32 (batch,)
        The teacher's term of each image, in the reduction whose published weights the YAML quotes. A
        term that exists only for a whole batch is broadcast to (batch,).

    def update(self, batch, student, teacher, state) -> None
        Optional: moves memories after the gradients are taken.
"""

from dataclasses import dataclass
from typing import Any

from tlcli.lazy import Tensor


@dataclass(frozen=True)
class Batch:
    """What a method may know of the images.

    Attributes:
        labels: float32 (batch, classes): one-hot, soft or multi-hot.
        indices: Row in the training set, int64 (batch,).
        progress: Fraction of the phase that is done, float32 scalar in [0, 1].
        epoch: Epochs done, float32 scalar, fractional.
    """

    labels: Tensor
    indices: Tensor = None
    progress: Tensor = 0.0
    epoch: Tensor = 0.0


@dataclass(frozen=True)
class Outputs:
    """What a student or a teacher says of a batch; signals that nobody needs are None or empty.

    Attributes:
        logits: float32 (batch, classes).
        embedding: float32 (batch, dim), pooled, before the head.
        features: float32 maps (batch, height, width, channels), shallow to deep, after activation.
        preactivations: The same before their last activation.
        head: Callable from an embedding or a last feature map to logits (teacher only, frozen).
    """

    logits: Tensor
    embedding: Tensor = None
    features: tuple[Tensor, ...] = ()
    preactivations: tuple[Tensor, ...] = ()
    head: Any = None


@dataclass(frozen=True)
class Shapes:
    """Sizes that connectors and memories are built from.

    Attributes:
        classes: Number of classes.
        samples: Images in the training set.
        student_embedding, teacher_embedding: Dimensions.
        student_features, teacher_features: (height, width, channels) of each map.
        labels: Class index of each training image, int32 (samples,), or None.
    """

    classes: int
    samples: int
    student_embedding: int = 0
    teacher_embedding: int = 0
    student_features: tuple[tuple[int, int, int], ...] = ()
    teacher_features: tuple[tuple[int, int, int], ...] = ()
    labels: Any = None
