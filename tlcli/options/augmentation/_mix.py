"""Mixing of images and labels in pairs: mixup (arXiv:1710.09412) and CutMix (arXiv:1905.04899)."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts import augmentation
from tlcli.lazy import Tensor, tf
from tlcli.options.augmentation._crop import box_mask


@dataclass(frozen=True)
class Mix(augmentation.Mix):
    """Mixes each image of a batch with its neighbour: position 0 with 1, 2 with 3, and so on.

    Partner and weights depend on a pair's number in the global batch only, so any pairs of it can
    be mixed where they lie, with the same result.

    Attributes:
        mixup_alpha: Parameter of mixup's Beta distribution; 0 is off.
        cutmix_alpha: Parameter of CutMix's Beta distribution; 0 is off.
        probability: Of mixing a pair.
        switch_probability: Of CutMix where both are on.
        off_epoch: Epochs, may be fractional, after which nothing is mixed; None never stops.
        cutmix_multi_label: Whether CutMix may cut images of several labels.
    """

    mixup_alpha: float
    cutmix_alpha: float
    probability: float
    switch_probability: float
    off_epoch: float | None
    cutmix_multi_label: bool

    @property
    def multi_label_ok(self) -> bool:
        """Whether nothing is cut, or cuts of images of several labels are wanted."""
        return not self.cutmix_alpha or self.cutmix_multi_label

    def apply(
        self,
        images: Tensor,
        labels: Tensor,
        seed: Tensor,
        epoch: Any,
        pairs: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mixed images and labels.

        Args:
            images: uint8 or float (batch, height, width, channels).
            labels: float (batch, classes), one-hot or soft.
            seed: int32 (2,), of the global batch.
            epoch: Epochs passed, number or scalar; may be fractional.
            pairs: Number of each pair in the global batch, int32 ((batch + 1) // 2,); None counts.

        Returns:
            float32 images and labels of the same shapes. An image without a partner stays.
        """
        shape = tf.shape(images)
        places = tf.range(shape[0])
        partner = tf.bitwise.bitwise_xor(places, 1)
        partner = tf.where(partner < shape[0], partner, places)
        pairs = tf.range((shape[0] + 1) // 2) if pairs is None else pairs
        draws = pair_draws(seed, pairs, self._alphas())
        draws = tf.repeat(draws, 2, axis=0)[: shape[0]]
        mixed = self._mixed(draws[:, 0], epoch) & (partner != places)
        own, own_label = self._weights(draws, mixed, shape[1], shape[2])
        return _blend(images, own, partner), _blend(labels, own_label[:, tf.newaxis], partner)

    def _alphas(self) -> tuple[float, float]:
        """Parameters to draw with; where one is off its draw is not used."""
        return self.mixup_alpha or 1.0, self.cutmix_alpha or 1.0

    def _mixed(self, draw: Tensor, epoch: Any) -> Tensor:
        """Which images are mixed at all, bool (batch,)."""
        chosen = draw < self.probability
        if self.off_epoch is None:
            return chosen
        return chosen & (tf.cast(epoch, tf.float32) < self.off_epoch)

    def _weights(
        self, draws: Tensor, mixed: Tensor, height: Tensor, width: Tensor
    ) -> tuple[Tensor, Tensor]:
        """An image's own weight: by pixel (batch, 1 or height, 1 or width, 1), and of its label."""
        mixup = tf.where(mixed, draws[:, 4], 1.0)
        if not self.cutmix_alpha:
            return mixup[:, tf.newaxis, tf.newaxis, tf.newaxis], mixup
        box = cut_box(draws[:, 5], draws[:, 2:4], height, width)
        area = tf.cast(height * width, tf.float32)
        cutmix = tf.where(mixed, 1.0 - box[:, 2] * box[:, 3] / area, 1.0)
        outside = 1.0 - tf.cast(box_mask(box, height, width), tf.float32)
        outside = tf.where(mixed[:, tf.newaxis, tf.newaxis], outside, 1.0)[..., tf.newaxis]
        if not self.mixup_alpha:
            return outside, cutmix
        cut = draws[:, 1] < self.switch_probability
        pixels = tf.where(
            cut[:, tf.newaxis, tf.newaxis, tf.newaxis],
            outside,
            mixup[:, tf.newaxis, tf.newaxis, tf.newaxis],
        )
        return pixels, tf.where(cut, cutmix, mixup)


def pair_draws(seed: Tensor, pairs: Tensor, alphas: tuple[float, float]) -> Tensor:
    """Random numbers of pairs, each a function of the seed and the pair's number alone.

    Args:
        seed: int32 (2,).
        pairs: Their numbers, int32 (count,).
        alphas: Parameters of two Beta distributions.

    Returns:
        float32 (count, 6): four uniform numbers, then one of each Beta(alpha, alpha).
    """
    # In double precision the gammas of an alpha of 0.1 do not vanish together.
    shapes = tf.constant([[alpha, alpha] for alpha in alphas], tf.float64)

    def draw(pair: Tensor) -> Tensor:
        uniform, gamma = tf.unstack(tf.random.split(tf.random.fold_in(seed, pair), 2))
        parts = tf.random.stateless_gamma([2, 2], gamma, alpha=shapes, dtype=tf.float64)
        beta = tf.math.divide_no_nan(parts[:, 0], tf.reduce_sum(parts, axis=1))
        return tf.concat(
            [tf.random.stateless_uniform([4], uniform), tf.cast(beta, tf.float32)], axis=0
        )

    spec = tf.TensorSpec([6], tf.float32)
    # These are small, and the gammas have no kernel on GPUs.
    with tf.device("CPU:0"):
        return tf.map_fn(draw, pairs, fn_output_signature=spec, parallel_iterations=32)


def cut_box(kept: Tensor, centre: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Boxes of the 1 - kept part of the area about random centres, cut off at the borders.

    Args:
        kept: float32 (batch,), part of the area that stays.
        centre: float32 (batch, 2), row and column in [0, 1).
        height: Pixels, int32.
        width: Pixels, int32.

    Returns:
        float32 (batch, 4), whole top, left, height and width.
    """
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    half = tf.floor(sides * tf.sqrt(1.0 - kept)[:, tf.newaxis]) / 2
    middle = tf.floor(centre * sides)
    first = tf.clip_by_value(tf.floor(middle - half + 0.5), 0.0, sides)
    last = tf.clip_by_value(tf.floor(middle + half + 0.5), 0.0, sides)
    return tf.concat([first, last - first], axis=1)


def _blend(values: Tensor, own: Tensor, partner: Tensor) -> Tensor:
    """Own share of each value, the rest from its partner; float32."""
    others = tf.cast(tf.gather(values, partner), tf.float32)
    values = tf.cast(values, tf.float32)
    return values + (1.0 - own) * (others - values)
