"""A bridge from a student's map to a teacher's; imported when needed."""

# mypy: disallow-subclassing-any=False

import keras

from tlcli.lazy import Tensor
from tlcli.options.distillation._maps import resized
from tlcli.options.distillation._states import Block


class Adapter(keras.layers.Layer):
    """1x1 convolution where the channels differ, then the teacher's height and width.

    Args:
        student: (height, width, channels) of the input.
        teacher: (height, width, channels) of the output.
        seed: Of the initial weights.
        normalise: Convolve also equal channels, and put a BatchNorm after.
        activation: Name of an activation after the convolution, or None.
    """

    def __init__(
        self,
        student: tuple[int, int, int],
        teacher: tuple[int, int, int],
        seed: int,
        normalise: bool = False,
        activation: str | None = None,
    ) -> None:
        super().__init__(dtype="float32")
        self.block = None
        if normalise or student[2] != teacher[2]:
            self.block = Block(
                (student[2], teacher[2]), seed, normalise=normalise, activation=activation
            )
        self.built = True

    def call(self, maps: Tensor, target: Tensor) -> Tensor:
        """The student's map with the channels and the size of the teacher's map `target`."""
        if self.block is not None:
            maps = self.block(maps, training=True)
        return resized(maps, target.shape[1], target.shape[2])
