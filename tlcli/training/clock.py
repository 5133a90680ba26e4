"""When a step's parts were over, seen from inside its graph."""

import time
from collections import defaultdict
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.training.replicas import replica_number

ARRIVED, COMPUTED, REDUCED, UPDATED = "arrived", "computed", "reduced", "updated"
# A call of some steps has begun.
CALLED = "called"


Seen = defaultdict[tuple[int, str], list[float]]


class NoClock:
    """Looks at nothing, and leaves graphs as they are."""

    def mark(self, kind: str, step: Any, tensors: Any) -> Any:
        """The tensors; that they are there is part `kind` of a step."""
        return tensors

    def updated(self, step: Any, figures: Any, variables: list[Any]) -> Any:
        """The figures of a step after which variables are updated."""
        return figures


NO_CLOCK = NoClock()


class Clock(NoClock):
    """Notes when the first replica of this process was done with each part of each step.

    Args:
        replicas: Of this process.

    Attributes:
        seen: By step and part the seconds of a clock, in order.
    """

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas
        self.seen: Seen = defaultdict(list)

    def called(self, step: int) -> None:
        """Note that steps from this one on were asked for."""
        self.seen[step, CALLED].append(time.perf_counter())

    def mark(self, kind: str, step: Any, tensors: Any) -> Any:
        """The tensors, which nobody sees before the time was taken.

        A number of each goes to the host, which has it when a device has computed it.
        """
        if replica_number() % self.replicas:
            return tensors
        flat = tf.nest.flatten(tensors)
        numbers = [tf.cast(tf.reshape(t, [-1])[:1], tf.float32) for t in flat]

        def note(number: Any, _: Any) -> Any:
            self.seen[int(number), kind].append(time.perf_counter())
            return np.int32(0)

        noted = tf.numpy_function(note, [step, tf.concat(numbers, 0)], tf.int32)
        with tf.control_dependencies([noted]):
            return tf.nest.pack_sequence_as(tensors, [tf.identity(t) for t in flat])

    def updated(self, step: Any, figures: Any, variables: list[Any]) -> Any:
        """See `NoClock`."""
        return self.mark(UPDATED, step, [figures, variables[-1].value])[0]


def mean_step(seen: Seen, first: int, last: int) -> float:
    """Mean seconds of steps; see `durations`."""
    return (seen[last - 1, UPDATED][-1] - seen[first - 1, UPDATED][-1]) / (last - first)


def durations(seen: Seen, first: int, last: int) -> Any:
    """Seconds of steps, float (steps, 3): waiting for images, computing, reducing.

    Computing is what lies between images or the step before and gradients, and between their
    reduction and the update. Images may arrive while the step before still runs. What lies between
    calls of several steps is none of these.

    Args:
        seen: Of a clock.
        first: Step, after one that was seen too.
        last: Step that is not counted any more.
    """
    found = []
    for step in range(first, last):
        before = max(seen[step - 1, UPDATED][-1], *seen[step, CALLED], 0.0)
        arrived = max(before, seen[step, ARRIVED][0])
        computing, at = 0.0, arrived
        reducing = 0.0
        for computed, reduced in zip(seen[step, COMPUTED], seen[step, REDUCED], strict=True):
            computing, reducing = computing + computed - at, reducing + reduced - computed
            at = reduced
        computing += seen[step, UPDATED][-1] - at
        found.append((arrived - before, computing, reducing))
    return np.array(found).reshape(-1, 3)
