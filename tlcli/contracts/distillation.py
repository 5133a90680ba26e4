"""Distillation methods: what a student learns from a teacher.

An option is a frozen dataclass `Distillation` that is a `Method`. Relations between images are
taken within the images that are computed at once on all replicas: `Batch.all` gives the values of
all of them, `Batch.mine` this replica's rows of such values.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from tlcli.lazy import Tensor


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
        share: Where the images lie among those of all replicas, or None on one.
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


Shape = tuple[int, ...]


def shape_text(shape: Shape) -> str:
    """A shape in words, as `8x8x32` or `17 tokens x 32`."""
    return "x".join(map(str, shape)) if len(shape) == 3 else f"{shape[0]} tokens x {shape[1]}"


class Average(Protocol):
    """A copy of the student that follows it; with `keep` it is what is evaluated and kept."""

    model: Any
    keep: bool

    @property
    def pairs(self) -> list[tuple[Any, Any]]:
        """Each variable of the copy with the student's."""


class State:
    """What a method holds besides the student; of most methods nothing. All of it is saved.

    A state with weights is first of all a `keras.layers.Layer`, whose variables count. It is built
    and initialised from fixed seeds: two calls of `Method.state` give equal weights.

    Attributes:
        variables, trainable_variables: Connectors and memories; those that gradients train.
        peers: Networks that are trained with the student by its finetune strategy.
        average: One that follows the student, or None.
    """

    variables: Sequence[Any] = ()
    trainable_variables: Sequence[Any] = ()
    peers: Sequence[Peer] = ()
    average: Average | None = None

    def of_method(self, index: int) -> "State":
        """What belongs to one method of a sum of them."""
        return NO_STATE


NO_STATE = State()


class Method(ABC):
    """What all methods have.

    Attributes:
        hard_weight: Factor of the label loss, which the step adds.
        distils: False for `none` alone.
        needs_teacher: False when the method makes its own targets; `teacher` is then None.
        student_taps, teacher_taps: Names of the layers whose maps are compared; None takes one a
            stage.
        projector: `factor` and `activation` of the projector before a borrowed head, or None.
    """

    hard_weight: float
    distils: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """Signals beyond logits.

        Of "embedding", "features", "preactivations", "indices", "teacher_head", "head_map",
        "images". The last gives `Batch.images` and `Shapes.networks`, for methods with networks
        beside the student, and ends the caching of its frozen part.
        """

    @property
    def student_taps(self) -> tuple[str, ...] | None:
        """Layers that give the student's maps; None takes one a stage."""
        return None

    @property
    def teacher_taps(self) -> tuple[str, ...] | None:
        """Layers that give the teacher's maps; None takes one a stage."""
        return None

    @property
    def projector(self) -> dict[str, Any] | None:
        """`factor` and `activation` of the projector before a borrowed head, or None."""
        return None

    @property
    def replaces_head(self) -> bool:
        """Whether the student ends in a projector and the teacher's head."""
        return self.projector is not None

    def checked(self, shapes: Shapes) -> None:  # noqa: B027 - most refuse nothing
        """Refuse what the method cannot do with these models and labels.

        Raises:
            ConfigError: It does not fit.
        """

    def state(self, shapes: Shapes) -> State:
        """Trainable connectors and memories (banks, constants)."""
        return NO_STATE

    def compared(
        self, kind: str, student: Sequence[Shape], teacher: Sequence[Shape]
    ) -> list[tuple[int, int]] | None:
        """Places of the student's and the teacher's maps that it looks at; the others are not made.

        In `Outputs` a map that nobody looks at is there without images, (0, height, width,
        channels), so that places stay what they are.

        Args:
            kind: "features" or "preactivations".
            student: Shape of each of the student's maps.
            teacher: Shape of each of the teacher's maps; none without a teacher that has any.

        Returns:
            Pairs; None for all maps.
        """
        return None if kind in self.needs else []

    def bridges(self, shapes: Shapes) -> list[tuple[int, int, str]]:
        """Places of the compared maps and how they are brought together; most compare none."""
        return []

    @abstractmethod
    def loss(self, batch: Batch, student: Outputs, teacher: Any, state: Any) -> Tensor:
        """The teacher's term of each image, times its factor, float32 (batch,).

        In the reduction whose published weights the YAML quotes. A term that exists only for a
        whole batch is broadcast to (batch,).

        Args:
            batch: What may be known of the images.
            student: What the student says of them.
            teacher: What the teacher says, Outputs; None where the method needs no teacher.
            state: What `state` made.
        """

    @abstractmethod
    def terms(self, batch: Batch, student: Outputs, teacher: Any, state: Any) -> dict[str, Tensor]:
        """What `loss` is the sum of, by name, each float32 (batch,)."""

    @property
    def shares(self) -> Mapping[str, float]:
        """What the gradient of each of `terms` may be of the labels', by name; most name none."""
        return {}

    @property
    def settled_after(self) -> float:
        """Epochs after which every term has its full weight."""
        return 0.0

    def weighed(self, gradients: Mapping[str, float], labels: float) -> dict[str, Any]:
        """Options with numbers in the place of what waits for a measurement, as soft_weight=auto.

        Args:
            gradients: Norm of the gradient of each of `terms`, at full weight.
            labels: That of the label term.

        Returns:
            The values by name; none where nothing waits.
        """
        return {}

    def update(  # noqa: B027 - most have no memory
        self, batch: Batch, student: Outputs, teacher: Any, state: Any
    ) -> None:
        """Move memories; called after the gradients are taken, outside any compiled loss."""

    def advance(self, batch: Batch, state: Any) -> list[tuple[Any, Tensor]]:
        """Variables that follow the student after its update, with their new values."""
        return []
