"""Adafactor whose update stays finite (Shazeer and Stern 2018, arXiv:1804.04235, algorithm 4)."""

from typing import Any

import keras
from keras import ops


class Adafactor(keras.optimizers.Adafactor):  # type: ignore[misc]
    """Keras' optimizer with the roots of rows and columns taken apart, as the authors' code does.

    Keras multiplies row and column means first. Where a row and a column have no gradient, as
    between two dead channels of a 1x1 convolution, both hold `epsilon_1`, 1e-30, and their product
    is below what float32 can hold: the update is 0 / 0.
    """

    def __init__(self, *given: Any, relative: bool = True, **named: Any) -> None:
        """Keep what a step's length is measured by.

        Args:
            given: Of Keras' class.
            relative: Whether it is the weights' size, as in the paper; else the rate alone.
            named: Of Keras' class.
        """
        super().__init__(*given, **named)
        self.relative = relative

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its means of squared gradients."""
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        share = ops.power(step, self.beta_2_decay)
        index = self._get_variable_index(variable)
        squares = ops.square(gradient) + self.epsilon_1
        if len(variable.shape) < 2:
            update = gradient * self._root(self._v[index], squares, share)
        else:
            rows, columns = self._r[index], self._c[index]
            self._move(rows, ops.mean(squares, axis=-1), share)
            self._move(columns, ops.mean(squares, axis=-2), share)
            part = rows / ops.mean(rows, axis=-1, keepdims=True)
            update = gradient * ops.expand_dims(ops.rsqrt(part), -1)
            update = update * ops.expand_dims(ops.rsqrt(ops.convert_to_tensor(columns)), -2)
        update = update / ops.maximum(1.0, self._rms(update) / self.clip_threshold)
        if self.relative:
            size = ops.maximum(self.epsilon_2, self._rms(variable))
            rate = size * ops.minimum(rate, ops.rsqrt(step))
        self.assign_sub(variable, rate * update)

    def get_config(self) -> dict[str, Any]:
        """Fields of Keras' class and the measure."""
        return {**super().get_config(), "relative": self.relative}

    def _move(self, mean: Any, value: Any, share: Any) -> None:
        self.assign(mean, (1 - share) * mean + share * value)

    def _root(self, mean: Any, squares: Any, share: Any) -> Any:
        """One over the root of a vector's mean squares, after it has moved."""
        self._move(mean, squares, share)
        return ops.rsqrt(ops.convert_to_tensor(mean))
