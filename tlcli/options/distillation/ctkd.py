"""Curriculum temperature, learned against the student (Li et al., AAAI 2023, arXiv:2211.16231)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Method
from tlcli.options.distillation._logits import logit_pair, soft_divergence


@dataclass(frozen=True)
class Distillation(Method):
    """KD whose one temperature climbs the loss that the student descends.

    T = lowest + range · sigmoid(θ). The gradient of θ is reversed and scaled by a factor that rises
    from 0 to `reversal` as half a cosine.

    Attributes:
        lowest_temperature: Infimum of the temperature, above 0.
        temperature_range: Width of its range, above 0.
        reversal: Final factor of the reversed gradient.
        reversal_epochs: Epochs over which the factor rises.
        standardise: Bring each row of logits to mean 0 and deviation 1 first.
    """

    lowest_temperature: float
    temperature_range: float
    reversal: float
    reversal_epochs: float
    standardise: bool

    multi_label_ok: ClassVar[bool] = False

    @property
    def min_classes(self) -> int:  # type: ignore[override]
        """Classes that the term needs; two standardised logits are constants without gradient."""
        return 3 if self.standardise else 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("lowest_temperature", "temperature_range"):
            value = getattr(self, field)
            require(value > 0, f"distillation.{field}", value, "Give a number above 0.")
        for field in ("reversal", "reversal_epochs"):
            value = getattr(self, field)
            require(value >= 0, f"distillation.{field}", value, "Give a number of at least 0.")

    def state(self, shapes: Shapes) -> State:
        """The learned temperature, a layer with the scalar weight `theta`."""
        from tlcli.options.distillation._states import Temperature

        return Temperature()

    def reversal_factor(self, epoch: Tensor) -> Tensor:
        """Factor of the reversed gradient, float32 scalar."""
        if self.reversal_epochs == 0:
            return self.reversal
        done = ops.minimum(ops.cast(epoch, "float32") / self.reversal_epochs, 1.0)
        return self.reversal * 0.5 * (1.0 - ops.cos(math.pi * done))

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """T² KL(teacher ‖ student) in nats, float32 (batch,)."""
        factor = self.reversal_factor(batch.epoch)
        theta = ops.convert_to_tensor(state.theta)
        # Equal to theta, with its gradient times -factor.
        theta = ops.stop_gradient(theta * (1.0 + factor)) - factor * theta
        temperature = self.lowest_temperature + self.temperature_range * ops.sigmoid(theta)
        ours, theirs = logit_pair(student, teacher, self.standardise)
        return soft_divergence(ours, theirs, temperature)
