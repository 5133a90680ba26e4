"""What a training loses to many machines, and how fast it would be on more of them.

All-reduce over a ring: Patarasuk & Yuan 2009, Journal of Parallel and Distributed Computing 69.
Time as latency and bytes: Hockney 1994, Parallel Computing 20. Workers that wait for the slowest of
all: the expected largest of n draws, by order statistics of the measured distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.lazy import np


@dataclass(frozen=True)
class Parts:
    """Mean seconds of a step and what they went to; together they are the step.

    Attributes:
        step: All of it.
        computing: Gradients and update, the mean of workers.
        input: Waiting for images, the mean of workers.
        reduction: What the worker that came last waited for the sum of gradients.
        stragglers: What workers waited longer than that one, the mean of them.
        rest: Figures, Python, what lies between calls.
    """

    step: float
    computing: float
    input: float
    reduction: float
    stragglers: float
    rest: float


def parts(step: float, durations: Any) -> Parts:
    """Parts of a step.

    Args:
        step: Mean seconds.
        durations: Float (workers, steps, 3), see `clock.durations`.
    """
    waiting, computing, reducing = np.moveaxis(np.asarray(durations), -1, 0)
    least = reducing.min(0)
    late = float((reducing - least).mean())
    means = float(computing.mean()), float(waiting.mean()), float(least.mean())
    return Parts(step, *means, stragglers=late, rest=step - sum(means) - late)


@dataclass(frozen=True)
class Costs:
    """What the model knows of a training.

    Attributes:
        batch: Images of a worker in a step.
        computing: Seconds that steps of a worker computed, which has its machine for itself.
        rest: Seconds of a step that are neither computing, waiting nor reduction.
        input_rate: Images a second that a worker's input alone gives; None for tables in memory.
        gradient_bytes: What is reduced in a step at once.
        sums: Small sums over all workers in a step that the next operations wait for.
        sum_bytes: Of one of them.
        latency: Seconds of a message between two workers.
        seconds_a_byte: Of a message.
    """

    batch: int
    computing: Sequence[float]
    rest: float
    input_rate: float | None
    gradient_bytes: int
    sums: int
    sum_bytes: float
    latency: float
    seconds_a_byte: float


@dataclass(frozen=True)
class Prediction:
    """A step of n workers.

    Attributes:
        workers: How many.
        images_per_second: Of all together.
        efficiency: Of what so many would do that never wait, of one's images a second.
        computing: Mean seconds.
        stragglers: Seconds that the slowest takes longer.
        reduction: Seconds.
        input: Seconds that all of this is shorter than images take to come.
    """

    workers: int
    images_per_second: float
    efficiency: float
    computing: float
    stragglers: float
    reduction: float
    input: float


def expected_largest(samples: Sequence[float], count: float) -> float:
    """Mean of the largest of so many independent draws from samples.

    Of m sorted samples the k-th is the largest with probability (k/m)^n - ((k-1)/m)^n.
    """
    ordered = np.sort(np.asarray(samples, float))
    shares = (np.arange(len(ordered) + 1) / len(ordered)) ** count
    return float(ordered @ np.diff(shares))


def waited_by_the_last(each: Sequence[Sequence[float]]) -> float:
    """Median over sums of the least seconds of all workers: who came last waited for nobody.

    Args:
        each: By worker the seconds of the same sums.
    """
    return float(np.median(np.min(np.asarray(each, float), axis=0)))


def ring(workers: int, size: float, latency: float, seconds_a_byte: float) -> float:
    """Seconds of an all-reduce: 2 (n - 1) messages of an n-th of the bytes, one after the other."""
    messages = 2 * (workers - 1)
    return messages * (latency + size / workers * seconds_a_byte)


def fitted_ring(measured: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Latency and seconds a byte from measured (workers, bytes, seconds); neither is below 0.

    Relative errors are made small, for seconds go over powers of ten.
    """
    rows = [(2 * (n - 1), 2 * (n - 1) / n * size, seconds) for n, size, seconds in measured]
    messages, sizes, seconds = np.array(rows, float).T
    table = np.stack([messages, sizes], 1) / seconds[:, None]
    ones = np.ones(len(table))
    found = np.linalg.lstsq(table, ones, rcond=None)[0]
    if (found < 0).any():
        alone = [
            max(0.0, float(column @ ones / max(column @ column, 1e-300))) for column in table.T
        ]
        worst = int(np.argmin(found))
        found = np.array([0.0 if i == worst else alone[i] for i in range(2)])
    return float(found[0]), float(found[1])


def predicted(costs: Costs, workers: int, crowd: int = 1) -> Prediction:
    """A step of n workers.

    Args:
        costs: Of the training.
        workers: How many.
        crowd: How many of them share the cores that the model's worker has for itself.
    """
    step, mean, largest, reduction, late = _step(costs, workers, crowd)
    alone = costs.batch / _step(costs, 1, 1)[0]
    rate = workers * costs.batch / step
    return Prediction(
        workers, rate, rate / (workers * alone), mean, largest - mean, reduction, late
    )


def _step(costs: Costs, workers: int, crowd: int) -> tuple[float, float, float, float, float]:
    """Seconds: all, mean computing, that of the slowest, reduction, waiting for images."""
    mean = crowd * float(np.mean(costs.computing))
    largest = crowd * expected_largest(costs.computing, workers)
    speed = costs.latency, costs.seconds_a_byte
    reduction = ring(workers, costs.gradient_bytes, *speed)
    reduction += costs.sums * ring(workers, costs.sum_bytes, *speed)
    busy = largest + reduction + crowd * costs.rest
    needed = crowd * costs.batch / costs.input_rate if costs.input_rate else 0.0
    late = max(0.0, needed - busy)
    return busy + late, mean, largest, reduction, late
