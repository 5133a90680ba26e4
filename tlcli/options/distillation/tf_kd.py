"""Teacher-free distillation from a virtual teacher (Yuan et al., CVPR 2020, arXiv:1909.11723).

This is the paper's regularisation. Its self-training is `kd` with a copy of the student, trained
before, as teacher.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import soft_divergence


@dataclass(frozen=True)
class Distillation(Method):
    """Divergence of the student from a virtual teacher.

    The virtual teacher gives the label `correct_probability` and shares the rest equally. Soft
    labels mix it linearly.

    Attributes:
        temperature: Divisor of the student's logits and of the teacher's log-probabilities.
        form: "paper", T² KL(teacher ‖ student) summed over classes, the teacher's probabilities to
            the power 1/T, normalised, against the student at T; or "code", the authors' program:
            softmax(probabilities / T), nearly uniform, against the student at temperature 1,
            averaged over classes and without T².
        correct_probability: What the virtual teacher gives the label, in (0, 1).
    """

    temperature: float
    form: Literal["paper", "code"]
    correct_probability: float

    needs_teacher: ClassVar[bool] = False
    multi_label_ok: ClassVar[bool] = False
    min_classes: ClassVar[int] = 2
    needs_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        above = self.temperature > 0
        require(above, "distillation.temperature", self.temperature, "Give a number above 0.")
        share = self.correct_probability
        place = "distillation.correct_probability"
        require(0 < share < 1, place, share, "Give a number between 0 and 1.")

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Divergence from the virtual teacher, in nats, float32 (batch,)."""
        labels = ops.cast(batch.labels, "float32")
        share = self.correct_probability
        rest = (1.0 - share) / (student.logits.shape[-1] - 1)
        given = share * labels + rest * (1.0 - labels)
        if self.form == "code":
            found = soft_divergence(student.logits, given / self.temperature, 1.0)
            return found / student.logits.shape[-1]
        virtual = ops.log(given)
        return soft_divergence(student.logits, virtual, self.temperature)
