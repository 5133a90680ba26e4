"""Lengths of training in steps, epochs, examples or percent."""

import math
import re
from dataclasses import dataclass

from tlcli.errors import ConfigError, require

_PATTERN = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(steps?|epochs?|examples?|%|)")
_REMEDY = "Give a length such as 100steps, 2epochs, 5%, 1000examples, or a number of epochs."


@dataclass(frozen=True)
class Span:
    """The training that lengths are measured against.

    Attributes:
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one pass over the training images, may be a fraction.
        batch_size: Images of one optimizer step.
    """

    total_steps: int
    steps_per_epoch: float
    batch_size: int = 1

    def __post_init__(self) -> None:
        if self.total_steps < 1 or self.steps_per_epoch <= 0 or self.batch_size < 1:
            raise ValueError(f"a training needs steps, epochs and images: {self}")


@dataclass(frozen=True)
class Length:
    """A stretch of training.

    Attributes:
        amount: How many, 0 or more.
        unit: steps, epochs, examples or percent.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, given: str | float, where: str) -> "Length":
        """The length that a text or a number of epochs stands for.

        Raises:
            ConfigError: Not a length, below 0, or above 100 %.
        """
        if isinstance(given, (int, float)) and not isinstance(given, bool):
            require(given >= 0 and math.isfinite(given), where, given, _REMEDY)
            return cls(float(given), "epochs")
        match = _PATTERN.fullmatch(str(given).strip())
        if match is None:
            raise ConfigError(where, f"got {given!r}", _REMEDY)
        unit = {"%": "percent", "": "epochs"}.get(match[2], match[2].rstrip("s") + "s")
        length = cls(float(match[1]), unit)
        if unit == "percent":
            require(length.amount <= 100, where, given, "Give at most 100%.")
        return length

    def exact_steps(self, span: Span) -> float:
        """Optimizer steps, not rounded."""
        factor = {
            "steps": 1.0,
            "epochs": span.steps_per_epoch,
            "examples": 1 / span.batch_size,
            "percent": span.total_steps / 100,
        }
        return self.amount * factor[self.unit]

    def steps(self, total_steps: int, steps_per_epoch: float, batch_size: int = 1) -> int:
        """Optimizer steps, rounded to the nearest."""
        return round(self.exact_steps(Span(total_steps, steps_per_epoch, batch_size)))


def steps_of(given: str | float, where: str, span: Span) -> int:
    """Optimizer steps of a length as the configuration gives it."""
    length = Length.parse(given, where)
    return length.steps(span.total_steps, span.steps_per_epoch, span.batch_size)
