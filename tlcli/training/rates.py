"""A Keras optimizer with a learning rate and a weight decay for each variable.

The gradients it is given are already averaged over replicas. Call it inside `strategy.scope()`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# Adafactor and Adagrad have no momentum; that of schedule-free AdamW must not change, and
# RMSprop's is compared with 0 in Python.
_MOMENTUM = {
    "SGD": "momentum",
    "Muon": "momentum",
    "Adam": "beta_1",
    "AdamW": "beta_1",
    "Nadam": "beta_1",
    "Lamb": "beta_1",
    "Lion": "beta_1",
}


class TableSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Learning rate read from a table; the last value holds after its end."""

    def __init__(self, values: Any, factor: Any = None) -> None:
        """Keep the table on the device.

        Args:
            values: Learning rate of each step, float (total_steps,).
            factor: Scalar variable that multiplies the rate, for drops at a plateau, or None.
        """
        self.values = np.asarray(values, np.float32)
        self.factor = factor
        self._table = _constant(values)

    def __call__(self, step: Any) -> Any:
        """Learning rate at an integer step, float32 ()."""
        rate = _at(self._table, step)
        return rate if self.factor is None else rate * ops.cast(self.factor, "float32")

    def get_config(self) -> dict[str, Any]:
        """The table as a list; a factor is a state, kept with the optimizer's variables."""
        return {"values": self.values.tolist()}


class _Rated:
    """What `with_rates` puts before a Keras optimizer class."""

    iterations: Any
    assign_sub: Any
    _get_variable_index: Any
    _rates: tuple[float, ...]
    _decays: tuple[float, ...]
    _decay_table: Any

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay one variable, then update it, both at its own learning rate."""
        index = self._get_variable_index(variable)
        rate = ops.cast(learning_rate, "float32") * self._rates[index]
        decay = self._decays[index]
        if decay:
            amount = rate * decay
            if self._decay_table is not None:
                amount = amount * _at(self._decay_table, self.iterations)
            getattr(self, "decay_step", self._decay_variable)(variable, amount)
        super().update_step(gradient, variable, rate)  # type: ignore[misc]

    def _decay_variable(self, variable: Any, amount: Any) -> None:
        self.assign_sub(variable, variable * ops.cast(amount, variable.dtype))

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Nothing: `update_step` decays."""

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
        """The pairs as they are: the loop has reduced the gradients over replicas."""
        return list(grads_and_vars)


class _CycledSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """Momentum SGD whose momentum may be a tensor: Keras compares it with 0 in Python."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its velocity."""
        dtype = variable.dtype
        change = ops.cast(gradient, dtype) * ops.cast(learning_rate, dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = ops.cast(self.momentum, dtype)
        self.assign(velocity, velocity * momentum - change)
        self.assign_add(variable, velocity * momentum - change if self.nesterov else velocity)


def with_rates(
    optimizer: Any,
    variables: Sequence[Any],
    rates: Sequence[float],
    decays: Sequence[float],
    decay_factor: Any = None,
    momentum: Any = None,
) -> Any:
    """A built optimizer like the given one, with a rate and a decay for each variable.

    At each step a variable first loses `learning rate * rate * decay * decay_factor` of itself,
    then gets the method's update at `learning rate * rate`.

    Args:
        optimizer: What an option's `build` returns, not built; it is not changed.
        variables: Trainable Keras variables, in the order the gradients come in.
        rates: Multiplier of the learning rate for each variable.
        decays: Decoupled weight decay of each variable; 0 for none.
        decay_factor: Multiplier of the decays at each step, float (total_steps,), or None for 1.
        momentum: Momentum (or beta_1) at each step, float (total_steps,), or None for the
            optimizer's own; a method without one, or with one of 0, ignores it.
    """
    if not len(variables) == len(rates) == len(decays):
        raise ValueError(f"{len(variables)} variables, {len(rates)} rates, {len(decays)} decays")
    config = optimizer.get_config()
    schedule = optimizer._learning_rate
    has_table = isinstance(schedule, TableSchedule)
    config["learning_rate"] = schedule if has_table else float(optimizer.learning_rate)
    rated = _rated_class(type(optimizer), momentum is not None, config).from_config(config)
    rated._rates = tuple(float(rate) for rate in rates)
    rated._decays = tuple(float(decay) for decay in decays)
    rated._decay_table = None if decay_factor is None else _constant(decay_factor)
    if has_table and schedule.factor is not None:
        rated._rate_factor = schedule.factor  # tracked, so it is saved with the state
    rated.build(list(variables))
    rated._momentum_table = None if momentum is None else _constant(momentum)
    return rated


def _rated_class(base: Any, has_table: bool, config: dict[str, Any]) -> Any:
    """The class that adds rates, and a momentum table where there is one, to a Keras class."""
    name = _MOMENTUM.get(base.__name__)
    if not has_table or name is None or not config[name]:
        return type(f"Rated{base.__name__}", (_Rated, base), {})
    base = _CycledSGD if base is keras.optimizers.SGD else base
    return type(f"Rated{base.__name__}", (_Rated, base), {name: _cycled(name)})


def evaluation_weights(optimizer: Any) -> list[Any] | None:
    """Weights to evaluate and to save, one tensor per variable in the order of `with_rates`.

    None where they are the trained weights themselves: for all but schedule-free AdamW. The trained
    weights stay in the model while training goes on; put them back after an evaluation.
    """
    read = getattr(optimizer, "evaluation_weights", None)
    return None if read is None else list(read())


def _cycled(name: str) -> property:
    """A hyper-parameter that is read from the momentum table once there is one."""
    plain = f"_plain_{name}"

    def read(self: Any) -> Any:
        table = getattr(self, "_momentum_table", None)
        return getattr(self, plain) if table is None else _at(table, self.iterations)

    def write(self: Any, value: Any) -> None:
        setattr(self, plain, value)

    return property(read, write)


def _constant(values: Any) -> Any:
    """A table as float32 outside any graph, so that each graph can capture it."""
    with tf.init_scope():
        return tf.constant(np.asarray(values, np.float32))


def _at(table: Any, step: Any) -> Any:
    """The value at a step, the last one after the end, float32 ()."""
    index = tf.minimum(tf.cast(step, tf.int64), tf.shape(table, tf.int64)[0] - 1)
    return tf.gather(table, index)
