"""Muon for networks of convolutions (Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982)."""

from typing import Any

import keras
from keras import ops


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras' optimizer with kernels of convolutions taken as matrices, as its authors do.

    A kernel (height, width, inputs, outputs) is a matrix of (height * width * inputs, outputs).
    A depthwise kernel joins no channels; it is left to AdamW.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == 4:
            return bool(is_depthwise(variable) or super()._should_use_adamw(_Named(variable.path)))
        return bool(super()._should_use_adamw(variable))

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(m, gradient + m * self.momentum)
        ahead = gradient + self.momentum * m if self.nesterov else ops.convert_to_tensor(m)
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))


class _Named:
    """A matrix of some path, which is all that Keras' rule looks at."""

    shape = (2, 2)

    def __init__(self, path: str) -> None:
        self.path = path


def is_depthwise(variable: Any) -> bool:
    """Whether a kernel of four dimensions works on each channel alone."""
    return "depthwise" in variable.path or variable.shape[-1] == 1
