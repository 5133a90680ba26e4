"""Weights of the distillation methods, all float32 and from fixed seeds; imported when needed."""

# mypy: disallow-subclassing-any=False

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tlcli.contracts.distillation import NO_STATE, State
from tlcli.lazy import Tensor
from tlcli.models.fused_batch_norm import FusedBatchNormalization


def _batch_norm(channels: int) -> keras.layers.BatchNormalization:
    """A built BatchNorm, synchronised when there are several replicas."""
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    layer = FusedBatchNormalization(
        epsilon=1e-5, momentum=0.9, synchronized=several, dtype="float32"
    )
    layer.build((None, None, None, channels))
    return layer


class Block(keras.layers.Layer):
    """Convolution, then BatchNorm and ReLU when asked for.

    Args:
        shape: Input and output channels.
        seed: Of the initial weights.
        size: Pixels of the kernel's side.
        normalise: Whether a BatchNorm follows (and the convolution has no offset).
        activation: Name of the activation, or None.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        seed: int,
        size: int = 1,
        normalise: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__(dtype="float32")
        self.convolution = keras.layers.Conv2D(
            shape[1],
            size,
            padding="same",
            use_bias=not normalise,
            kernel_initializer=keras.initializers.HeNormal(seed=seed),
            dtype="float32",
        )
        self.convolution.build((None, None, None, shape[0]))
        self.norm = _batch_norm(shape[1]) if normalise else None
        self.activation = keras.activations.get(activation)
        self.built = True

    def call(self, maps: Tensor, training: bool | None = None) -> Tensor:
        """Maps of the output channels, float32 (batch, height, width, channels)."""
        maps = self.convolution(maps)
        if self.norm is not None:
            maps = self.norm(maps, training=training)
        return self.activation(maps)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape with the output channels."""
        return (*input_shape[:-1], self.convolution.filters)


class Modules(keras.layers.Layer, State):
    """A list of layers, some of them None, whose weights belong together.

    Args:
        parts: The layers in order.
    """

    def __init__(self, parts: list[Any]) -> None:
        super().__init__(dtype="float32")
        self.layers_present = [p for p in parts if p is not None]
        self._places = [None if p is None else sum(q is not None for q in parts[:i])
                        for i, p in enumerate(parts)]  # fmt: skip
        self.built = True

    def part(self, index: int) -> Any:
        """The layer, or None, at a place of the list."""
        place = self._places[index]
        return None if place is None else self.layers_present[place]


class States(Modules):
    """The states of several methods; those without one have the null state."""

    def __init__(self, states: list[State]) -> None:
        super().__init__([s if isinstance(s, keras.layers.Layer) else None for s in states])

    def of_method(self, index: int) -> State:
        """What belongs to one method."""
        found = self.part(index)
        return NO_STATE if found is None else found

    @property
    def peers(self) -> list[Any]:  # type: ignore[override]
        """The peers of all methods."""
        return [peer for state in self.layers_present for peer in state.peers]

    @property
    def average(self) -> Any:  # type: ignore[override]
        """The first average among the states, or None."""
        found = (state.average for state in self.layers_present)
        return next((average for average in found if average is not None), None)


class Peers(keras.layers.Layer, State):
    """Networks that are trained beside the student.

    Args:
        peers: `Peer` objects.
    """

    def __init__(self, peers: list[Any]) -> None:
        super().__init__(dtype="float32")
        self.models = [peer.model for peer in peers]
        self._facts: Any = lambda: peers
        self.built = True

    @property
    def peers(self) -> list[Any]:  # type: ignore[override]
        """The peers with what each phase trains of them."""
        found: list[Any] = self._facts()
        return found


class Average(keras.layers.Layer, State):
    """A copy of the student that follows it, and the number of its moves.

    Args:
        model: The copy.
        student: The student.
        keep: Whether the copy is what is evaluated and kept.
    """

    def __init__(self, model: Any, student: Any, keep: bool) -> None:
        super().__init__(dtype="float32")
        self.model, self.keep = model, keep
        self.moves = self.add_weight(
            name="moves", shape=(), initializer="zeros", trainable=False,
            aggregation="only_first_replica",
        )  # fmt: skip
        # Behind a function, so that the student is no part of this layer.
        self._student: Any = lambda: student
        self.built = True

    @property
    def average(self) -> "Average":  # type: ignore[override]
        """Itself, as a list of states gives it."""
        return self

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Each variable of the copy with the student's; counters of random draws are left out."""
        both = zip(self.model.variables, self._student().variables, strict=True)
        return [(mine, theirs) for mine, theirs in both if "float" in mine.dtype]


class Temperature(keras.layers.Layer, State):
    """One learned number `theta`, 1 at the start; it should see no weight decay."""

    def __init__(self) -> None:
        super().__init__(dtype="float32")
        self.theta = self.add_weight(name="theta", shape=(), initializer="ones")
        self.built = True


class Embeddings(keras.layers.Layer, State):
    """A linear embedding of the student's and of the teacher's pooled features.

    Args:
        student, teacher: Input dimensions.
        size: Output dimension.
    """

    def __init__(self, student: int, teacher: int, size: int) -> None:
        super().__init__(dtype="float32")
        self.student = _dense(student, size, seed=1)
        self.teacher = _dense(teacher, size, seed=2)
        self.built = True


def _dense(inputs: int, outputs: int, seed: int) -> keras.layers.Dense:
    """A built linear layer."""
    initial = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(outputs, kernel_initializer=initial, dtype="float32")
    layer.build((None, inputs))
    return layer


class Variational(keras.layers.Layer, State):
    """Mean network and variances of one stage of VID.

    Args:
        student, teacher: Channels.
        variance: Initial variance of every channel, above `floor`.
        floor: Least variance.
        seed: Of the initial weights.
    """

    def __init__(
        self, student: int, teacher: int, variance: float, floor: float, seed: int
    ) -> None:
        super().__init__(dtype="float32")
        sizes = [(student, teacher), (teacher, teacher), (teacher, teacher)]
        self.blocks = [
            Block(shape, seed + i, normalise=False, activation="relu" if i < 2 else None)
            for i, shape in enumerate(sizes)
        ]
        self.floor = floor
        start = float(ops.log(ops.expm1(variance - floor)))
        self.scale = self.add_weight(
            name="scale", shape=(teacher,), initializer=keras.initializers.Constant(start)
        )
        self.built = True

    def mean(self, maps: Tensor) -> Tensor:
        """The teacher's map as the student predicts it."""
        for block in self.blocks:
            maps = block(maps)
        return maps

    def variance(self) -> Tensor:
        """Variance of each channel, float32 (channels,)."""
        return ops.softplus(ops.convert_to_tensor(self.scale)) + self.floor


class Fusion(keras.layers.Layer):
    """Attention-based fusion of one stage with the deeper ones (ReviewKD's ABF).

    Args:
        student, middle, teacher: Channels of the input, in between, of the output.
        fuse: Whether a deeper stage is fused in.
        seed: Of the initial weights.
    """

    def __init__(self, student: int, middle: int, teacher: int, fuse: bool, seed: int) -> None:
        super().__init__(dtype="float32")
        self.inward = Block((student, middle), seed)
        self.outward = Block((middle, teacher), seed + 1, size=3)
        self.attention = None
        if fuse:
            self.attention = Block((2 * middle, 2), seed + 2, normalise=False, activation="sigmoid")
        self.built = True
