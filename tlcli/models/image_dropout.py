"""Dropout that depends on (seed, step, image) and on nothing else.

Keras draws one mask for a whole batch: the same on every replica, and another one when a batch is
cut otherwise. Here each number of the mask is a hash of the image's key and its own place, so that
any number of replicas, of pieces of a batch, and any order of images drop the same.
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

Tensor = Any

# Replicas are traced in threads of their own, in turn.
_now = threading.local()


@contextlib.contextmanager
def of_images(seed: Tensor, rows: Tensor) -> Iterator[None]:
    """Within, dropout layers draw for these images.

    Args:
        seed: Of the step, int32 (2,).
        rows: Row of each image in the training set, int64 (batch,).
    """
    halves = tf.unstack(tf.bitcast(tf.expand_dims(rows, -1), tf.uint32), axis=-1)
    low, high = (tf.reshape(half, [-1]) for half in halves)
    first, second = tf.unstack(tf.bitcast(seed, tf.uint32))
    before = getattr(_now, "keys", None)
    _now.keys = _hashed(_hashed(low ^ first) ^ high ^ second)
    try:
        yield
    finally:
        _now.keys = before


@keras.saving.register_keras_serializable(package="tlcli")
class ImageDropout(keras.layers.Dropout):  # type: ignore[misc]
    """`keras.layers.Dropout` whose masks are those of the images, within `of_images`.

    Elsewhere, and where its noise has a fixed batch size, it is Keras' own.
    """

    number = 0

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Inputs with some numbers 0, the others divided by 1 - rate, (batch, ...)."""
        keys = getattr(_now, "keys", None)
        own = self.noise_shape or (None,) * len(inputs.shape)
        images = None if keys is None else keys.shape[0]
        if not training or not self.rate or images is None or own[0] is not None:
            return super().call(inputs, training=training)
        if inputs.shape[0] not in (None, images):
            return super().call(inputs, training=training)
        shape = [size if fixed is None else fixed
                 for size, fixed in zip(inputs.shape[1:], own[1:], strict=True)]  # fmt: skip
        kept = uniform(keys, math.prod(shape), self.number) >= self.rate
        kept = tf.reshape(kept, [images, *shape])
        inputs = tf.convert_to_tensor(inputs)
        return tf.where(kept, inputs / (1.0 - self.rate), tf.zeros((), inputs.dtype))


def uniform(keys: Tensor, count: int, stream: int) -> Tensor:
    """Numbers in [0, 1) of each key, float32 (batch, count).

    Args:
        keys: uint32 (batch,).
        count: Numbers of each key.
        stream: Keeps the draws of one use apart from those of others.
    """
    places = tf.cast(tf.range(count), tf.uint32)
    places = _hashed(places + tf.constant((stream * 0x9E3779B9) % 2**32, tf.uint32))
    drawn = _hashed(keys[:, None] ^ places[None, :])
    # Of 32 bits, float32 holds 24.
    return tf.cast(tf.bitwise.right_shift(drawn, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def _hashed(values: Tensor) -> Tensor:
    """Bits mixed so that each depends on all (finalizer of MurmurHash3; A. Appleby, 2011)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        values ^= tf.bitwise.right_shift(values, tf.constant(shift, tf.uint32))
        values *= tf.constant(factor, tf.uint32)
    return values ^ tf.bitwise.right_shift(values, tf.constant(16, tf.uint32))


def use_image_dropout(model: Any) -> None:
    """Let the dropout layers of a model, nested ones too, draw by image."""
    found = [layer for layer in model._flatten_layers() if type(layer) is keras.layers.Dropout]
    for number, layer in enumerate(found, 1):
        # Both classes have the same attributes and the same call signature.
        layer.__class__ = ImageDropout
        layer.number = number


def use_keras(model: Any) -> None:
    """Undo `use_image_dropout`, so that a saved model names Keras' own layers only."""
    for layer in model._flatten_layers():
        if type(layer) is ImageDropout:
            layer.__class__ = keras.layers.Dropout
