"""CRD's memories, and images of other classes."""

# mypy: disallow-subclassing-any=False

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tlcli.contracts.distillation import State
from tlcli.lazy import Tensor
from tlcli.options.distillation._states import Embeddings


class ContrastMemory(keras.layers.Layer, State):
    """CRD's embeddings, memories and constants (as logarithms; valid once `started` is 1).

    Args:
        student, teacher: Dimensions of the pooled features.
        size: Dimension of the embedding.
        labels: Class index of each training image (samples,), numpy.
    """

    def __init__(self, student: int, teacher: int, size: int, labels: Any) -> None:
        super().__init__(dtype="float32")
        self.embeddings = Embeddings(student, teacher, size)
        limit = (3.0 / size) ** 0.5
        self.student_bank = self._memory("student_bank", (len(labels), size), limit, 3)
        self.teacher_bank = self._memory("teacher_bank", (len(labels), size), limit, 4)
        self.student_constant = self._memory("student_constant", (), 0.0, 5)
        self.teacher_constant = self._memory("teacher_constant", (), 0.0, 6)
        self.started = self._memory("started", (), 0.0, 7)
        self.by_class = Classes(labels)
        self.built = True

    def _memory(self, name: str, shape: tuple[int, ...], limit: float, seed: int) -> Any:
        """A weight that gradients do not move, uniform in ± limit, equal on all replicas."""
        initial = keras.initializers.RandomUniform(-limit, limit, seed=seed) if limit else "zeros"
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initial,
            trainable=False,
            aggregation="only_first_replica",
        )


class Classes:
    """Training images in the order of their classes, to draw images of other classes.

    Args:
        labels: Class index of each training image (samples,), numpy.
    """

    def __init__(self, labels: Any) -> None:
        labels = ops.convert_to_numpy(labels).astype("int32")
        self.labels = labels
        self.order = labels.argsort(kind="stable").astype("int32")
        ordered = labels[self.order]
        numbers = range(int(labels.max()) + 1)
        self.first = ordered.searchsorted(numbers, side="left").astype("int32")
        self.count = ordered.searchsorted(numbers, side="right").astype("int32") - self.first

    def others(self, indices: Tensor, number: int, seed: Tensor) -> Tensor:
        """Images of other classes, drawn with replacement, int32 (batch, number).

        Args:
            indices: Row of each image in the training set, integer (batch,).
            number: Draws for each image.
            seed: int32 (2,).
        """
        classes = tf.gather(self.labels, indices)
        first = tf.gather(self.first, classes)[:, None]
        count = tf.gather(self.count, classes)[:, None]
        shape = (tf.shape(indices)[0], number)
        draws = tf.random.stateless_uniform(shape, seed, 0, 2**31 - 1, dtype=tf.int32)
        rank = draws % (len(self.labels) - count)
        return tf.gather(self.order, tf.where(rank < first, rank, rank + count))
