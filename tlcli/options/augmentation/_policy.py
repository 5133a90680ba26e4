"""The operations that random policies choose from, with their strengths."""

from collections.abc import Callable
from dataclasses import dataclass

from tlcli.lazy import Tensor, tf
from tlcli.options.augmentation import _ops
from tlcli.system.seeds import unit


@dataclass(frozen=True)
class Strengths:
    """What each operation does at full strength.

    Attributes:
        shear: Slope.
        translate: Part of the image's side.
        rotate: Degrees.
        enhance: Distance of a factor from 1, for brightness, color, contrast and sharpness.
        posterize: Bits dropped.
    """

    shear: float
    translate: float
    rotate: float
    enhance: float
    posterize: int


NUM_OPERATIONS = 14


def apply_one(image: Tensor, which: Tensor, signed: Tensor, side: int, most: Strengths) -> Tensor:
    """One of the 14 operations that RandAugment and TrivialAugment share.

    Args:
        image: uint8 (side, side, 3).
        which: Number of the operation, int32 in 0 to 13.
        signed: Strength, float32 in -1 to 1; operations that have no direction take its size.
        side: Pixels.
        most: Strengths at 1.

    Returns:
        uint8 (side, side, 3).
    """
    size = tf.abs(signed)
    pixels = most.translate * side
    branches: list[Callable[[], Tensor]] = [
        lambda: _ops.identity(image),
        lambda: _ops.autocontrast(image),
        lambda: _ops.equalize(image),
        lambda: _ops.rotate(image, signed * most.rotate),
        lambda: _ops.solarize(image, 256.0 * (1 - size)),
        lambda: _ops.posterize(image, 8 - tf.round(size * most.posterize)),
        lambda: _ops.color(image, 1 + signed * most.enhance),
        lambda: _ops.contrast(image, 1 + signed * most.enhance),
        lambda: _ops.brightness(image, 1 + signed * most.enhance),
        lambda: _ops.sharpness(image, 1 + signed * most.enhance),
        lambda: _ops.shear_x(image, signed * most.shear),
        lambda: _ops.shear_y(image, signed * most.shear),
        lambda: _ops.translate_x(image, signed * pixels),
        lambda: _ops.translate_y(image, signed * pixels),
    ]
    return tf.switch_case(which, branches)


def random_operation(seed: Tensor) -> Tensor:
    """Number of an operation, all equally likely, int32."""
    return tf.random.stateless_uniform([], seed, 0, NUM_OPERATIONS, tf.int32)


def random_sign(seed: Tensor) -> Tensor:
    """-1 or 1, float32."""
    return tf.where(unit(seed, []) < 0.5, -1.0, 1.0)
