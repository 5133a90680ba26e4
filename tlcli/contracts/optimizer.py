"""Optimizers: Keras' own, each wrapped so that variables can have rates of their own.

A new option is a frozen dataclass `Optimizer` that subclasses `Optimizer` of this module, adds the
fields of its method and has the method `build`. The training does the rest before and after an
update: rates and decays of single variables, clipping, averages.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.errors import require
from tlcli.lazy import np

_ABOVE_ZERO = "Give a number above 0."


@dataclass(frozen=True)
class Optimizer(ABC):
    """What every option has.

    Attributes:
        learning_rate: Base rate, above 0; that of 256 images when `scaling` is not none.
        scaling: How the rate follows the batch size: not at all, in proportion (Goyal et al. 2017,
            arXiv:1706.02677) or with its square root (usual for the Adam family).
        weight_decay: Decoupled decay (Loshchilov and Hutter 2019, arXiv:1711.05101), times the
            learning rate at each step, 0 or more.
        weight_decay_end: Decay at the end, reached along half a cosine; null for a constant.
        decay_norms_and_biases: Whether normalisation weights and biases decay too.
        clip_norm: Largest global norm of the gradients, or null.
        clip_value: Largest magnitude of a gradient's element, or null.
        agc: Adaptive clipping's factor (Brock et al. 2021, arXiv:2102.06171), or null.
        sam: Radius of sharpness-aware minimisation (Foret et al. 2021, arXiv:2010.01412), or null.
        ema: Decay of the weights' exponential moving average, or null.
        swa: Fraction of the training after which weights are averaged equally (Izmailov et al.
            2018, arXiv:1803.05407), or null.
    """

    learning_rate: float
    scaling: Literal["none", "linear", "sqrt"]
    weight_decay: float
    weight_decay_end: float | None
    decay_norms_and_biases: bool
    clip_norm: float | None
    clip_value: float | None
    agc: float | None
    sam: float | None
    ema: float | None
    swa: float | None

    def __post_init__(self) -> None:
        require_above_zero(self, "learning_rate", "clip_norm", "clip_value", "agc", "sam")
        for name in ("weight_decay", "weight_decay_end"):
            given = getattr(self, name)
            require(given is None or given >= 0, f"optimizer.{name}", given, "Give 0 or more.")
        require_decay_rate(self, "ema", "swa")

    @abstractmethod
    def build(self, learning_rate: Any = None) -> Any:
        """The keras.optimizers.Optimizer, without weight decay, clipping or average.

        Args:
            learning_rate: A number or a Keras schedule; None for the field.
        """

    def scaled_rate(self, batch_size: int) -> float:
        """Learning rate of optimizer steps of `batch_size` images."""
        ratio = batch_size / 256
        factor = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[self.scaling]
        return self.learning_rate * factor

    def weight_decay_values(self, total_steps: int) -> Any:
        """Weight decay at each step, float64 (total_steps,)."""
        if self.weight_decay_end is None:
            return np.full(total_steps, self.weight_decay)
        progress = np.arange(total_steps, dtype=np.float64) / max(total_steps, 1)
        weight = (1 + np.cos(np.pi * progress)) / 2
        return self.weight_decay_end + (self.weight_decay - self.weight_decay_end) * weight

    def rate(self, given: Any) -> Any:
        """The learning rate to build with: the given one, or the field when it is None."""
        return self.learning_rate if given is None else given


def require_above_zero(option: Any, *names: str) -> None:
    """Raise a ConfigError unless each named field is null or a finite number above 0."""
    for name in names:
        given = getattr(option, name)
        valid = given is None or 0 < given < math.inf
        require(valid, f"optimizer.{name}", given, _ABOVE_ZERO)


def require_decay_rate(option: Any, *names: str) -> None:
    """Raise a ConfigError unless each named field is null or lies in [0, 1)."""
    for name in names:
        given = getattr(option, name)
        valid = given is None or 0 <= given < 1
        require(valid, f"optimizer.{name}", given, "Give a number from 0, below 1.")
