"""Schedule-free AdamW that keeps its average (Defazio et al. 2024, arXiv:2405.15682, section 4)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


class ScheduleFreeAdamW(keras.optimizers.ScheduleFreeAdamW):  # type: ignore[misc]
    """Keras' optimizer with the paper's update.

    Keras 3.15 recovers the average from the trained weights after it has moved the momentum, so
    its average is not the paper's. Here the average is a variable; it weighs each step by the
    square of its learning rate, as the paper does, so a warm-up counts for little.
    """

    def build(self, var_list: Sequence[Any]) -> None:
        """Create momentum (the paper's z), velocity and average (x) of each variable."""
        if self.built:
            return
        super().build(var_list)
        self._averages = self.add_optimizer_variables(var_list, "average")
        for average, variable in zip(self._averages, var_list, strict=True):
            self.assign(average, ops.copy(variable))
        self._weight_sum = self.add_variable((), name="weight_sum")
        self._average_weight = self.add_variable((), name="average_weight")

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        weight = ops.square(ops.cast(learning_rate, self._weight_sum.dtype))
        total = ops.add(self._weight_sum, weight)
        self.assign(self._weight_sum, total)
        self.assign(self._average_weight, ops.divide_no_nan(weight, total))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def decay_step(self, variable: Any, amount: Any) -> None:
        """Decay of the trained weights, taken from the momentum sequence as the paper does."""
        momentum = self._momentums[self._get_variable_index(variable)]
        self.assign_sub(momentum, ops.multiply(variable, ops.cast(amount, variable.dtype)))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its momentum, velocity and average."""
        dtype = variable.dtype
        gradient, rate = ops.cast(gradient, dtype), ops.cast(learning_rate, dtype)
        index = self._get_variable_index(variable)
        velocity, momentum = self._velocities[index], self._momentums[index]
        average = self._averages[index]
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
        step = ops.cast(self.iterations + 1, dtype)
        correction = 1 - ops.power(ops.cast(self.beta_2, dtype), step)
        root = ops.sqrt(velocity / correction) + self.epsilon
        self.assign_sub(momentum, rate * gradient / root)
        weight = ops.cast(self._average_weight, dtype)
        self.assign_add(average, (momentum - average) * weight)
        self.assign(variable, (1 - self.beta_1) * momentum + self.beta_1 * average)

    def evaluation_weights(self) -> list[Any]:
        """The averages, one tensor per variable in the order of `build`."""
        return [average.value for average in self._averages]
