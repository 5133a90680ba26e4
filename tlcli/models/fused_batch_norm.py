"""Keras' batch normalization on TensorFlow's fused kernel; equal results, fewer memory passes."""

from typing import Any

import keras
import tensorflow as tf

Tensor = Any
Model = Any

# Smallest epsilon that every release of cuDNN takes.
_SMALLEST_EPSILON = 1.001e-5


@keras.saving.register_keras_serializable(package="tlcli")
class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`keras.layers.BatchNormalization` with the same weights, arguments and results.

    The fused kernel serves feature maps (batch, height, width, channels) normalized over the last
    axis in float32, float16 or bfloat16. Everything else (other ranks and axes, masks, float64,
    renormalization, synchronized statistics, an epsilon under 1.001e-5) runs Keras' own code.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Normalized inputs, (batch, height, width, channels), in the compute dtype."""
        if mask is not None or not self._fusible(inputs):
            return super().call(inputs, training=training, mask=mask)
        inputs = tf.convert_to_tensor(inputs)
        channels = inputs.shape[-1]
        gamma = tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels)
        beta = tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels)
        learn = bool(training and self.trainable)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=[] if learn else tf.convert_to_tensor(self.moving_mean),
            variance=[] if learn else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            data_format="NHWC",
            is_training=learn,
        )
        if learn:
            self._move(mean, variance, inputs)
        return tf.cast(outputs, self.compute_dtype)

    def _moments(self, inputs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance over all replicas, each (channels,)."""
        context = tf.distribute.get_replica_context()
        if not self.synchronized or mask is not None or context is None:
            found: tuple[Tensor, Tensor] = super()._moments(inputs, mask)
            return found

        channels = inputs.shape[self.axis]

        def total(values: Tensor) -> Tensor:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        count = tf.cast(tf.size(inputs) // channels, inputs.dtype)
        sums = total(tf.concat([tf.reduce_sum(inputs, self._reduction_axes), [count]], 0))
        mean, count = sums[:-1] / sums[-1], sums[-1]
        shape = [1] * len(inputs.shape)
        shape[self.axis] = channels
        apart = tf.square(inputs - tf.reshape(mean, shape))
        return mean, total(tf.reduce_sum(apart, self._reduction_axes)) / count

    def _fusible(self, inputs: Tensor) -> bool:
        plain = not (self.renorm or self.synchronized) and self.epsilon >= _SMALLEST_EPSILON
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return (
            plain
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and dtype in ("float32", "float16", "bfloat16")
            and not isinstance(inputs, keras.KerasTensor)
            and self.moving_mean.dtype == "float32"
        )

    def _move(self, mean: Tensor, variance: Tensor, inputs: Tensor) -> None:
        """Update the moving statistics as Keras does, from the biased variance."""
        # The kernel returns the variance over n - 1, and over 1 where n is 1.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:3]), variance.dtype)
        variance *= tf.maximum(count - 1.0, 1.0) / count
        kept, new = self.momentum, 1.0 - self.momentum
        self.moving_mean.assign(self.moving_mean * kept + mean * new)
        self.moving_variance.assign(self.moving_variance * kept + variance * new)


def use_fused(model: Model) -> list[str]:
    """Let the model's batch normalization layers, nested ones too, run on the fused kernel.

    The layers stay the same objects, with their weights and their place in the graph. Do this
    before compiling: a traced train step keeps the code it was traced with.

    Returns:
        Names of the layers changed. Subclasses of Keras' layer are left alone.
    """
    return _swap(model, keras.layers.BatchNormalization, FusedBatchNormalization)


def use_keras(model: Model) -> list[str]:
    """Undo `use_fused`, so that a saved model names Keras' own layers only.

    Returns:
        Names of the layers changed.
    """
    return _swap(model, FusedBatchNormalization, keras.layers.BatchNormalization)


def _swap(model: Model, old: Any, new: Any) -> list[str]:
    changed = [layer for layer in model._flatten_layers() if type(layer) is old]
    for layer in changed:
        # Both classes have the same attributes and the same call signature.
        layer.__class__ = new
    return [layer.name for layer in changed]
