"""What a training step is made of."""

from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tlcli.contracts.distillation import Method, State
from tlcli.data.order import Order
from tlcli.distill.teaching import Teaching
from tlcli.training.clock import NoClock


@dataclass(frozen=True)
class StepParts:
    """What a phase trains, and how.

    Attributes:
        suffix: Model from the cut tensors to [logits, embedding, *taps].
        from_pictures: Whether the cut tensors are the pictures.
        variables: Trained Keras variables.
        averaged: All variables that change, batch statistics included (for moving averages).
        optimizer: Built, with rates (see training.rates).
        loss: Prepared loss of labels.
        method: Distillation method.
        state: Its connectors and memories.
        teacher: Gives its signals of a batch.
        option: The optimizer option (clipping, SAM).
        penalties: Pairs (variable, start value or None, factor).
        order: Which images a step sees.
        epochs: Of the phase.
        total_steps: Of the phase.
        loss_scale: Variable, or None.
        skip_bad: Whether a step with gradients that are not finite changes nothing.
        jit: Whether loss and gradients are compiled by XLA.
        seed: Of the run.
        multi_label: Whether classes are independent.
        ema: Moving averages of `averaged`, or empty.
        statistics: Variables that replicas move apart in a step, to be averaged after it.
        moving: Statistics of batches that every pass over images moves.
        norms: Whether the figures of a step end in the norm of its gradient.
        clock: Sees when parts of a step are over.
    """

    suffix: Any
    from_pictures: bool
    variables: list[Any]
    averaged: list[Any]
    optimizer: Any
    loss: Any
    method: Method
    state: State
    teacher: Teaching
    option: Any
    penalties: list[tuple[Any, Any, float]]
    order: Order
    epochs: float
    total_steps: int
    loss_scale: Any
    skip_bad: bool
    jit: bool
    seed: int
    multi_label: bool
    ema: list[Any] = field(default_factory=list)
    statistics: list[Any] = field(default_factory=list)
    moving: list[Any] = field(default_factory=list)
    norms: bool = False
    clock: NoClock = field(default_factory=NoClock)

    def penalty(self) -> Any:
        """Penalties on weights, over all replicas, float32 scalar."""
        total = tf.zeros(())
        for variable, start, factor in self.penalties:
            value = tf.cast(variable.value, tf.float32)
            distance = value if start is None else value - start
            total += 0.5 * factor * tf.reduce_sum(tf.square(distance))
        own = [tf.cast(extra, tf.float32) for extra in self.suffix.losses]
        return total + (tf.add_n(own) if own else 0.0)
