"""Softmax regression representation learning (Yang et al., ICLR 2021)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import FeatureMethod, per_image
from tlcli.options.distillation._maps import Meeting


@dataclass(frozen=True)
class Distillation(FeatureMethod):
    """Distance of pooled features, and of the logits that the teacher's frozen head gives them.

    The student's last map passes a 1x1 convolution, BatchNorm and ReLU, then a mean over pixels.

    Attributes:
        feature_weight: Factor of the mean squared difference of embeddings.
        logit_weight: Factor of the mean squared difference of logits.
    """

    feature_weight: float
    logit_weight: float

    signals: ClassVar[frozenset[str]] = frozenset({"features", "embedding", "teacher_head"})
    default_stages: ClassVar[tuple[int, ...]] = (-1,)
    connects: ClassVar[bool] = True
    meets: ClassVar[Meeting] = "apart"

    def __post_init__(self) -> None:
        super().__post_init__()
        chosen = self.stages or self.student_layers or (-1,)
        require(len(chosen) == 1, "distillation.stages", chosen, "Give one, or null for the last.")
        for field in ("feature_weight", "logit_weight"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")

    def state(self, shapes: Shapes) -> State:
        """The connector from the student's map to the teacher's embedding."""
        from tlcli.options.distillation._states import Block, Modules

        channels = self.shape_pairs(shapes)[0][0][2]
        return Modules([Block((channels, shapes.teacher_embedding), 0, activation="relu")])

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Weighted squared differences, float32 (batch,)."""
        maps = self.map_pairs(student.features, teacher.features)[0][0]
        embedding = ops.mean(state.part(0)(maps, training=True), axis=(1, 2))
        logits = ops.cast(teacher.head(embedding), "float32")
        features = per_image(ops.square(embedding - teacher.embedding))
        judged = per_image(ops.square(logits - teacher.logits))
        return self.feature_weight * features + self.logit_weight * judged
