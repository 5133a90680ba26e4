"""Distillation methods: what a student learns from a teacher.

Each option is a frozen dataclass `Distillation`, a `_common.Method`, with the method's fields and

    hard_weight: factor of the label loss, which the loop adds.
    soft_weight, warmup_epochs, decay: factor of the teacher's term and its schedule.
    needs: frozenset of signals beyond logits: "embedding", "features", "preactivations", "indices",
        "teacher_head", "head_map", "images". "images" gives `Batch.images` and `Shapes.networks`,
        for methods with networks beside the student, and ends the caching of its frozen part.
    needs_teacher: False when the method makes its own targets (`none`, `tf_kd`); `teacher` is None.
    multi_label_ok: Whether classes may be independent (sigmoid) instead of exclusive (softmax).
    student_layers, teacher_layers: of methods on maps: names of the tapped layers, or None.
    replaces_head: Whether the student ends in a projector (`projector`: its factor and activation)
        and the teacher's head instead of its own.

    def checked(self, shapes: Shapes) -> None
        Raises ConfigError where the method cannot work with these models and labels.

    def bridges(self, shapes: Shapes) -> list of (student's place, teacher's place, words)
        Which maps are compared, and how they are brought together; for the plan.

    def state(self, shapes: Shapes) -> keras.layers.Layer | None
        Trainable connectors and memories (banks, constants); None when there are none. Built and
        initialised from fixed seeds: two calls give equal weights.

    def loss(self, batch, student, teacher, state=None) -> float32 (batch,)
        The teacher's term of each image, in the reduction whose published weights the YAML quotes,
        times its factor. A term that exists only for a whole batch is broadcast to (batch,).

    def terms(self, batch, student, teacher, state) -> dict of float32 (batch,)
        What `loss` is the sum of, by name, for the plan.

    def update(self, batch, student, teacher, state=None) -> None
        Moves memories; called after the gradients are taken, outside any compiled loss.

    def advance(self, batch, state=None) -> list of pairs (variable, new value)
        What follows the student after the optimizer's update of a step; the loop assigns it.

A state may have `peers`, networks that are trained with the student by its finetune strategy (see
`Peer`), and `average`, one that follows it (see `_states.Average`). Both lie in the resume state.

Relations between images are taken within the images that are computed at once on all replicas:
`Batch.all` gives the values of all of them, `Batch.mine` this replica's rows of such values.
"""

from dataclasses import dataclass
from typing import Any

from tlcli.lazy import Tensor, tf


@dataclass(frozen=True)
class Batch:
    """What a method may know of the images.

    Attributes:
        labels: float32 (batch, classes): one-hot, soft or multi-hot; zeros of an image without.
        indices: Row in the training set, int64 (batch,).
        progress: Fraction of the phase that is done, float32 scalar in [0, 1].
        epoch: Epochs done, float32 scalar, fractional.
        seed: Seed of this step's draws, int32 (2,); memory methods need it.
        multi_label: Whether classes are independent; a Python bool, equal to Shapes.multi_label.
        images: What the student sees, uint8 or (mixed) float32 (batch, side, side, 3).
        label_loss: Callable from logits (batch, classes) to the run's label loss, float32 (batch,).
        share: Where the images lie among those of all replicas, a `_share.Share`, or None on one.
    """

    labels: Tensor
    indices: Tensor = None
    progress: Tensor = 0.0
    epoch: Tensor = 0.0
    seed: Tensor = None
    multi_label: bool = False
    images: Tensor = None
    label_loss: Any = None
    share: Any = None

    def all(self, values: Tensor) -> Tensor:
        """Values of the images of all replicas, in order, from those of `batch` images."""
        return values if self.share is None else self.share.all(values)

    def mine(self, values: Tensor) -> Tensor:
        """The values of this replica's images, from those of all."""
        return values if self.share is None else self.share.mine(values)


@dataclass(frozen=True)
class Peer:
    """A network that is trained beside the student.

    Attributes:
        model: uint8 (batch, side, side, 3) to logits (batch, classes).
        phases: What each phase of the run trains of it; the last serves for those that follow.
        batch_norm: "train" when its statistics move.
        backbone: Values of its backbone option.
    """

    model: Any
    phases: tuple[Any, ...]
    batch_norm: str
    backbone: Any = None


@dataclass(frozen=True)
class Outputs:
    """What a student or a teacher says of a batch; signals that nobody needs are None or empty.

    Attributes:
        logits: float32 (batch, classes).
        embedding: float32 (batch, dim), pooled, before the head.
        features: float32 maps (batch, height, width, channels), shallow to deep, after activation;
            or tokens (batch, tokens, channels) of a square grid, with or without a class token.
        preactivations: The same before their last activation.
        head_map: float32 map (batch, height, width, channels) that the teacher's head takes; of a
            student, its own last map projected to these channels.
        head: Callable from an embedding or a last feature map to logits (teacher only, frozen).
    """

    logits: Tensor
    embedding: Tensor = None
    features: tuple[Tensor, ...] = ()
    preactivations: tuple[Tensor, ...] = ()
    head_map: Tensor = None
    head: Any = None


@dataclass(frozen=True)
class Shapes:
    """Sizes that connectors and memories are built from.

    Attributes:
        classes: Number of classes.
        samples: Images in the training set.
        student_embedding, teacher_embedding: Dimensions.
        student_features, teacher_features: (height, width, channels) of each map, or
            (tokens, channels); pre-activations have the same.
        labels: Class index of each training image, int32 (samples,), -1 where it has none; or None.
        multi_label: Whether classes are independent instead of exclusive.
        teacher_norms: Mean and standard deviation of the channels of each teacher pre-activation
            map, two arrays (channels,): offset and absolute scale of the BatchNorm that makes it.
            Empty when unknown.
        networks: Makes networks beside the student: `copy()`, and `peer(changes, number, where)`
            which gives a Peer; `student` is the student's model. None unless "images" is needed.
    """

    classes: int
    samples: int
    student_embedding: int = 0
    teacher_embedding: int = 0
    student_features: tuple[tuple[int, int, int], ...] = ()
    teacher_features: tuple[tuple[int, int, int], ...] = ()
    labels: Any = None
    multi_label: bool = False
    teacher_norms: tuple[tuple[Any, Any], ...] = ()
    networks: Any = None


@dataclass(frozen=True)
class Share:
    """Where the images of a replica lie in the piece of a batch that is computed at once.

    Attributes:
        before, own, after: Numbers of images: of replicas before it, its own, of those behind.
    """

    before: int
    own: int
    after: int

    def all(self, values: Tensor) -> Tensor:
        """Values of all images in order, (piece, ...), from each replica's own (own, ...).

        Gradients come back to the replica whose values they are of.
        """
        padding = [[self.before, self.after], *[[0, 0]] * (len(values.shape) - 1)]
        padded = tf.pad(values, padding)
        context = tf.distribute.get_replica_context()
        # A step that is only traced, to learn its size, runs on no replica.
        if context is None:
            return padded
        return context.all_reduce(tf.distribute.ReduceOp.SUM, padded)

    def mine(self, values: Tensor) -> Tensor:
        """Values of this replica's images, from those of all."""
        return values[self.before : self.before + self.own]


Shape = tuple[int, ...]


def shape_text(shape: Shape) -> str:
    """A shape in words, as `8x8x32` or `17 tokens x 32`."""
    return "x".join(map(str, shape)) if len(shape) == 3 else f"{shape[0]} tokens x {shape[1]}"
