"""What a learning-rate range test saw, and which rate it speaks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.config.settings import FindLr
from tlcli.lazy import np

# The suggested rate is the lowest loss's over this.
BELOW = 2.0


@dataclass(frozen=True)
class Curve:
    """What a range test saw.

    Attributes:
        rates: Values of optimizer.learning_rate, float64 (steps,).
        losses: The training loss of each step's batch, float64 (steps,); the last may be nan.
        smoothed: Of the steps before the loss diverged, float64 (at most steps,).
        diverged: Step at which it did, or None.
    """

    rates: Any
    losses: Any
    smoothed: Any
    diverged: int | None


@dataclass(frozen=True)
class Suggestion:
    """Rates that a curve speaks for.

    Attributes:
        steepest: Where the smoothed loss falls fastest over the rate's logarithm.
        lowest: Where it is lowest.
    """

    steepest: float
    lowest: float

    @property
    def rate(self) -> float:
        """Half the rate of the lowest loss.

        The rate rises tenfold in a few steps, so the loss turns where a training would only begin
        to suffer (docs/options-measured.md).
        """
        return self.lowest / BELOW

    @property
    def reason(self) -> str:
        """Where it lies on the curve."""
        return "half the rate of the lowest loss"


def curve_of(rates: Any, losses: Sequence[float], own: FindLr) -> Curve:
    """The curve of some steps, without those after the loss diverged.

    Args:
        rates: Of the steps of the test, float (steps or more,).
        losses: Of the steps that were made.
        own: When it has diverged, and how it is smoothed.
    """
    end = divergence(losses, own)
    seen = len(losses) if end is None else end + 1
    sound = seen if end is None else end
    limit = highest(min(losses[:sound], default=math.inf), own)
    smoothed = smooth(np.minimum(losses[:sound], limit), own.smoothing)
    return Curve(rates[:seen], np.array(losses[:seen]), smoothed, end)


def highest(lowest: float, own: FindLr) -> float:
    """The loss above which it has diverged; some methods' losses lie below 0."""
    return lowest + (own.diverged - 1) * abs(lowest)


def divergence(losses: Sequence[float], own: FindLr) -> int | None:
    """First step at which the loss has diverged, or None.

    Args:
        losses: Of each step.
        own: How many times the lowest is too many, and how it is smoothed (backwards alone).
    """
    total = weight = 0.0
    lowest = math.inf
    for step, loss in enumerate(losses):
        total = own.smoothing * total + loss
        weight = own.smoothing * weight + 1
        value = total / weight
        if not math.isfinite(value) or value > highest(min(lowest, value), own):
            return step
        lowest = min(lowest, value)
    return None


def smooth(losses: Any, beta: float) -> Any:
    """Mean of all steps, each weighted by beta to the power of its distance.

    Both sides count: an average of earlier steps alone would show the curve at higher rates.

    Args:
        losses: float (steps,).
        beta: In [0, 1).

    Returns:
        float64 (steps,).
    """
    steps = np.arange(len(losses))
    weights = np.power(float(beta), np.abs(steps[:, None] - steps[None, :]))
    return weights @ np.asarray(losses, np.float64) / weights.sum(1)


def suggestion(curve: Curve) -> Suggestion | None:
    """What the curve speaks for; None where the loss did not fall by more than its noise."""
    smoothed = curve.smoothed
    if len(smoothed) < 3:
        return None
    lowest = int(np.argmin(smoothed))
    if lowest < 2 or smoothed[0] - smoothed[lowest] <= noise(curve.losses[: lowest + 1]):
        return None
    rates = curve.rates[: lowest + 1]
    slopes = np.gradient(smoothed[: lowest + 1], np.log(rates))
    return Suggestion(float(rates[int(np.argmin(slopes))]), float(rates[lowest]))


def noise(losses: Any) -> float:
    """Standard deviation of the losses around a smooth curve, from each one's two neighbours."""
    bends = losses[1:-1] - (losses[:-2] + losses[2:]) / 2
    return math.sqrt(float(np.mean(np.square(bends))) / 1.5)
