"""LAMB that leaves out what its authors leave out (You et al. 2020, arXiv:1904.00962)."""

from typing import Any

import keras
from keras import ops


class Lamb(keras.optimizers.Lamb):  # type: ignore[misc]
    """Keras' optimizer with the paper's lower bound of a weight's norm, and plain Adam for vectors.

    Keras scales every variable by its own norm. An offset or a head that starts at zero then takes
    one step of the full rate, and after it steps in proportion to that step: it never grows. The
    authors' code leaves normalisation and offsets out of the scaling; the paper bounds the norm.
    """

    def __init__(self, *given: Any, least_size: float = 0.0, **named: Any) -> None:
        """Keep the bound.

        Args:
            given: Of Keras' class.
            least_size: Least root mean square that a kernel is taken to have.
            named: Of Keras' class.
        """
        super().__init__(*given, **named)
        self.least_size = least_size

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its moments."""
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        index = self._get_variable_index(variable)
        mean, squares = self._momentums[index], self._velocities[index]
        beta_1, beta_2 = ops.cast(self.beta_1, dtype), ops.cast(self.beta_2, dtype)
        self.assign_add(mean, (gradient - mean) * (1 - beta_1))
        self.assign_add(squares, (ops.square(gradient) - squares) * (1 - beta_2))
        root = ops.sqrt(squares / (1 - ops.power(beta_2, step))) + self.epsilon
        update = mean / (1 - ops.power(beta_1, step)) / root
        self.assign_sub(variable, rate * self._ratio(variable, update) * update)

    def _ratio(self, variable: Any, update: Any) -> Any:
        """Size of the weights over that of the update; 1 for a vector, or where nothing moves."""
        if len(variable.shape) < 2:
            return 1.0
        size = ops.maximum(_size(ops.convert_to_tensor(variable)), self.least_size)
        length = _size(update)
        moves = ops.logical_and(size > 0, length > 0)
        return ops.where(moves, size / ops.maximum(length, 1e-30), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Fields of Keras' class and the bound."""
        return {**super().get_config(), "least_size": self.least_size}


def _size(values: Any) -> Any:
    """Root mean square."""
    return ops.sqrt(ops.mean(ops.square(values)))
