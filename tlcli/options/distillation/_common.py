"""What every distillation method shares: fields, schedule, checks and float32."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts import distillation as contract
from tlcli.contracts.distillation import Batch, Outputs, Shape, Shapes
from tlcli.errors import ConfigError, require
from tlcli.lazy import Tensor, np, ops
from tlcli.options.distillation._maps import Meeting, bridge_text, map_shape, stage_pairs, to_map

Decay = Literal["none", "linear", "cosine"]
_MATRIX_SIGNALS = {"features": "features", "preactivations": "features", "embedding": "embedding"}


def scheduled(warmup_epochs: float, decay: Decay, batch: Batch) -> Tensor:
    """Factor of a term at this step, float32 scalar in [0, 1].

    Rises linearly from 0 over `warmup_epochs`, and falls to 0 over the phase with `decay`.
    """
    factor: Tensor = 1.0
    if warmup_epochs > 0:
        factor = ops.minimum(ops.cast(batch.epoch, "float32") / warmup_epochs, 1.0)
    if decay == "linear":
        factor = factor * (1.0 - ops.cast(batch.progress, "float32"))
    if decay == "cosine":
        angle = math.pi * ops.cast(batch.progress, "float32")
        factor = factor * 0.5 * (1.0 + ops.cos(angle))
    return factor


def as_float32(outputs: Outputs) -> Outputs:
    """The same outputs in float32, tokens laid out as maps."""

    def cast(value: Tensor) -> Tensor:
        return None if value is None else ops.cast(value, "float32")

    return dataclasses.replace(
        outputs,
        logits=cast(outputs.logits),
        embedding=cast(outputs.embedding),
        head_map=cast(outputs.head_map),
        features=tuple(to_map(cast(f)) for f in outputs.features),
        preactivations=tuple(to_map(cast(f)) for f in outputs.preactivations),
    )


def constant(outputs: Outputs) -> Outputs:
    """The same outputs with no gradient through them."""
    stop = ops.stop_gradient
    return dataclasses.replace(
        outputs,
        logits=stop(outputs.logits),
        embedding=None if outputs.embedding is None else stop(outputs.embedding),
        head_map=None if outputs.head_map is None else stop(outputs.head_map),
        features=tuple(stop(f) for f in outputs.features),
        preactivations=tuple(stop(f) for f in outputs.preactivations),
    )


def unit(vectors: Tensor, axis: int = -1) -> Tensor:
    """Vectors divided by their length; zero stays zero, with a finite gradient."""
    squares = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squares, 1e-24))


def per_image(values: Tensor) -> Tensor:
    """Mean over all axes but the first."""
    return ops.mean(values, axis=tuple(range(1, len(values.shape))))


@dataclass(frozen=True)
class Base(contract.Method):
    """What all methods share; one gives `loss`, and `state` when it has weights.

    Attributes:
        hard_weight: Factor of the label loss, which the loop adds.
        soft_weight: Factor of the teacher's term: a number; "paper", the published one; or "auto",
            what makes the gradient of the term `share` times that of the label term when the
            training begins (see `training.balance`).
        paper_weight: The published factor, in the reduction of this module.
        share: Gradient of the term over that of the label term, with "auto"; above 0.
        warmup_epochs: Epochs over which the teacher's term rises linearly from 0.
        decay: How the teacher's term falls to 0 over the phase.
    """

    hard_weight: float
    soft_weight: float | Literal["auto", "paper"]
    paper_weight: float
    share: float
    warmup_epochs: float
    decay: Decay

    signals: ClassVar[frozenset[str]] = frozenset()
    multi_label_ok: ClassVar[bool] = True
    min_classes: ClassVar[int] = 1
    needs_labels: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in ("hard_weight", "soft_weight", "paper_weight", "warmup_epochs"):
            value = getattr(self, field)
            remedy = "Give a number of at least 0."
            right = isinstance(value, str) or 0 <= value < math.inf
            require(right, f"distillation.{field}", value, remedy)
        right = 0 < self.share < math.inf
        require(right, "distillation.share", self.share, "Give a number above 0.")

    @property
    def full_weight(self) -> float:
        """Factor of the teacher's term after its rise; the published one before a measurement."""
        given = self.soft_weight
        return self.paper_weight if isinstance(given, str) else given

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of the one term."""
        return {type(self).__module__.rpartition(".")[2]: self.share}

    @property
    def settled_after(self) -> float:
        """Epochs of the rise."""
        return self.warmup_epochs

    def weighed(self, gradients: Mapping[str, float], labels: float) -> dict[str, Any]:
        """Options with a number in the place of "auto"; none where there is nothing to choose.

        Args:
            gradients: Norm of the gradient of each of `terms`, at full weight.
            labels: That of the label term, hard_weight in it.
        """
        measured = math.fsum(gradients.values())
        if self.soft_weight != "auto":
            return {}
        if not (0 < measured < math.inf and 0 < labels < math.inf):
            return {"soft_weight": self.paper_weight}
        weight = self.full_weight * self.share * labels / measured
        # As it is written with two digits: alike on machines that round apart.
        return {"soft_weight": float(f"{weight:.2g}")}

    @property
    def needs(self) -> frozenset[str]:
        """Signals beyond logits."""
        return self.signals

    def checked(self, shapes: Shapes) -> None:
        """Refuse what the method cannot do with these models and labels.

        Raises:
            ConfigError: Labels not exclusive or missing, too few classes, or a missing signal.
        """
        name = type(self).__module__.rpartition(".")[2]
        if shapes.multi_label and not self.multi_label_ok:
            raise ConfigError(
                "distillation.name",
                f"{name} needs exclusive classes, and these labels are not",
                "Choose kd, logits_mse or a method on features.",
            )
        if not shapes.multi_label and shapes.classes < self.min_classes:
            raise ConfigError(
                "distillation.name",
                f"{name} needs {self.min_classes} classes, and there are {shapes.classes}",
                "Choose kd.",
            )
        bare = 0 if shapes.labels is None else int((np.asarray(shapes.labels) < 0).sum())
        if self.needs_labels and bare:
            raise ConfigError(
                "distillation.name",
                f"{name} needs the label of every training image, and {bare} of {shapes.samples} "
                "have none",
                "Choose kd, dist or a method on features.",
            )
        for signal in sorted(self.needs & _MATRIX_SIGNALS.keys()):
            for side in ("student", "teacher") if self.needs_teacher else ("student",):
                if not getattr(shapes, f"{side}_{_MATRIX_SIGNALS[signal]}"):
                    raise ConfigError(
                        "distillation.name",
                        f"{name} needs {signal}, and the {side} gives none",
                        "Choose a method on logits, as kd.",
                    )

    def terms(self, batch: Batch, student: Outputs, teacher: Any, state: Any) -> dict[str, Tensor]:
        """What `loss` is the sum of, by name, each float32 (batch,)."""
        name = type(self).__module__.rpartition(".")[2]
        return {name: self.loss(batch, student, teacher, state)}


@dataclass(frozen=True)
class Method(Base):
    """A method that learns from one teacher; it gives `term`. The fields are Base's."""

    @abstractmethod
    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """The teacher's term before its factor, float32 (batch,) or a scalar of the batch."""

    def loss(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any = None) -> Tensor:
        """The teacher's term of each image, weighted, float32 (batch,)."""
        student = as_float32(student)
        teacher = teacher and constant(as_float32(teacher))
        term = self.term(batch, student, teacher, state)
        factor = self.full_weight * scheduled(self.warmup_epochs, self.decay, batch)
        return factor * term + ops.zeros_like(student.logits[:, 0])


@dataclass(frozen=True)
class FeatureMethod(Method):
    """Base of the methods on maps.

    Attributes:
        stages: Student's maps that are compared, negative from the deepest, or None for the
            method's own choice. See `_maps.stage_pairs` for the teacher's partners.
        student_layers: Layers whose outputs are the student's maps, by name or path, or None for
            one a stage. All of them are compared unless `stages` chooses.
        teacher_layers: The same of the teacher; as many as are compared are partners in order.
    """

    stages: tuple[int, ...] | None
    student_layers: tuple[str, ...] | None
    teacher_layers: tuple[str, ...] | None

    signals: ClassVar[frozenset[str]] = frozenset({"features"})
    default_stages: ClassVar[tuple[int, ...]] = (-3, -2, -1)
    min_stages: ClassVar[int] = 1
    connects: ClassVar[bool] = False
    meets: ClassVar[Meeting] = "smaller"

    @property
    def student_taps(self) -> tuple[str, ...] | None:
        """Layers that give the student's maps."""
        return self.student_layers

    @property
    def teacher_taps(self) -> tuple[str, ...] | None:
        """Layers that give the teacher's maps."""
        return self.teacher_layers

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("student_layers", "teacher_layers"):
            layers = getattr(self, field)
            require(layers is None or layers, f"distillation.{field}", layers, "Name some or none.")
        enough = self.stages is None or len(self.stages) >= self.min_stages
        remedy = f"Give a list of at least {self.min_stages}, or null."
        require(enough, "distillation.stages", self.stages, remedy)

    def checked(self, shapes: Shapes) -> None:
        """Refuse missing signals and stages.

        Raises:
            ConfigError: See above.
        """
        super().checked(shapes)
        count = len(self.shape_pairs(shapes))
        if count < self.min_stages:
            raise ConfigError(
                "distillation.stages",
                f"the student gives {count} map, {self.min_stages} are needed",
                "Choose a method on one map, as sp.",
            )

    def shape_pairs(self, shapes: Shapes) -> list[tuple[Any, Any]]:
        """(height, width, channels) of the student's and the teacher's chosen maps."""
        ours, theirs = shapes.student_features, shapes.teacher_features
        return [(map_shape(ours[i]), map_shape(theirs[j])) for i, j in self.indices(ours, theirs)]

    def indices(
        self, student: tuple[Shape, ...], teacher: tuple[Shape, ...]
    ) -> list[tuple[int, int]]:
        """Places of the student's and the teacher's compared maps, from the shapes of all."""
        stages = self.stages
        if stages is None and self.student_layers is not None:
            stages = tuple(range(len(student)))
        pairs = stage_pairs(student, teacher, stages, self.default_stages)
        if self.teacher_layers is not None and len(teacher) == len(pairs):
            return [(i, place) for place, (i, _) in enumerate(pairs)]
        return pairs

    def compared(
        self, kind: str, student: Sequence[Shape], teacher: Sequence[Shape]
    ) -> list[tuple[int, int]] | None:
        """Places of the compared maps; see contracts.distillation."""
        if kind not in self.needs or not student or not teacher:
            return []
        return self.indices(tuple(student), tuple(teacher))

    def bridges(self, shapes: Shapes) -> list[tuple[int, int, str]]:
        """Places of compared maps, and in words how they meet."""
        ours, theirs = shapes.student_features, shapes.teacher_features
        return [(i, j, bridge_text(ours[i], theirs[j], self.connects, self.meets))
                for i, j in self.indices(ours, theirs)]  # fmt: skip

    def map_pairs(
        self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]
    ) -> list[tuple[Tensor, Tensor]]:
        """The student's and the teacher's chosen maps."""
        ours, theirs = (tuple(tuple(f.shape[1:]) for f in maps) for maps in (student, teacher))
        return [(student[i], teacher[j]) for i, j in self.indices(ours, theirs)]
