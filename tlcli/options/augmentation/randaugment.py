"""RandAugment: a few random operations of one strength (Cubuk et al. 2020, arXiv:1909.13719)."""

from dataclasses import dataclass

from tlcli.errors import require
from tlcli.lazy import Tensor, tf
from tlcli.options.augmentation._policy import Strengths, apply_one, random_operation, random_sign
from tlcli.options.augmentation._view import RandomView

LEVELS = 10


@dataclass(frozen=True)
class Augmentation(RandomView):
    """RandomView with random operations, drawn with repetition.

    Full strength is a slope of 0.3, a shift of 0.45 of the side, 30 degrees, factors of 0.1 and
    1.9, 4 bits dropped, everything inverted.

    Attributes:
        num_ops: Operations on each view, 0 or more.
        magnitude: Strength of the operations, 0 to 10.
        magnitude_std: Standard deviation of the strength, drawn for each operation anew.
    """

    num_ops: int
    magnitude: float
    magnitude_std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        where, remedy = "augmentation.num_ops", "Give a whole number from 0 to 14."
        require(0 <= self.num_ops <= 14, where, self.num_ops, remedy)
        where, remedy = "augmentation.magnitude", "Give a number from 0 to 10."
        require(0 <= self.magnitude <= LEVELS, where, self.magnitude, remedy)
        where, remedy = "augmentation.magnitude_std", "Give a number from 0 to 10."
        require(0 <= self.magnitude_std <= LEVELS, where, self.magnitude_std, remedy)

    def change(self, view: Tensor, seed: Tensor) -> Tensor:
        """The view after num_ops random operations, uint8."""
        most = Strengths(shear=0.3, translate=0.45, rotate=30.0, enhance=0.9, posterize=4)
        side = view.shape[0]
        for one in tf.unstack(tf.random.split(seed, self.num_ops)) if self.num_ops else ():
            which, size, sign = tf.unstack(tf.random.split(one, 3))
            normal = tf.random.stateless_normal([], size)
            level = (self.magnitude + self.magnitude_std * normal) / LEVELS
            signed = tf.clip_by_value(level, 0.0, 1.0) * random_sign(sign)
            view = apply_one(view, random_operation(which), signed, side, most)
        return view
