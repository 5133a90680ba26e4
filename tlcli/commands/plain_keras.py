"""The same work as a user writes it in plain Keras: the other arm of `tl bench`.

Nothing here is used in training. Each function follows Keras' guides and defaults: `decode_image`
and `tf.image.resize` with autotuned parallelism, `compile` and `fit`, `predict`, `Distiller`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tlcli.data.resize import Resize

AUTOTUNE = tf.data.AUTOTUNE


def picture_dataset(paths: Sequence[str], side: int, batch_size: int) -> Any:
    """Pictures of files as `image_dataset_from_directory` gives them.

    Args:
        paths: Files.
        side: Pixels of a side.
        batch_size: Pictures at a time.

    Returns:
        tf.data.Dataset of float32 (batch, side, side, 3), 0 to 255.
    """

    def picture(path: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.ensure_shape(tf.image.resize(image, (side, side)), (side, side, 3))

    dataset = tf.data.Dataset.from_tensor_slices(list(paths))
    return dataset.map(picture, num_parallel_calls=AUTOTUNE).batch(batch_size).prefetch(AUTOTUNE)


def source_dataset(images: Any, rows: Any, resize: Resize, batch_size: int) -> Any:
    """Pictures of a source without files of its own, resized the plain way."""

    def picture(row: Any) -> Any:
        image = tf.image.resize(images.image(row), (resize.size, resize.size))
        return tf.ensure_shape(image, (resize.size, resize.size, 3))

    dataset = tf.data.Dataset.from_tensor_slices(rows)
    return dataset.map(picture, num_parallel_calls=AUTOTUNE).batch(batch_size).prefetch(AUTOTUNE)


def compiled(model: Any, learning_rate: float, multi_label: bool) -> Any:
    """The model with AdamW and its cross-entropy, ready for `fit`; all weights are trained."""
    model.trainable = True
    model.compile(keras.optimizers.AdamW(learning_rate), _loss(multi_label), metrics=["accuracy"])
    return model


def distiller(teacher: Any, student: Any, learning_rate: float, multi_label: bool) -> Any:
    """Keras' own Distiller of logits, compiled; the teacher runs in every step."""
    student.trainable = True
    made = keras.distillation.Distiller(
        teacher, student, keras.distillation.LogitsDistillation(temperature=4.0)
    )
    made.compile(keras.optimizers.AdamW(learning_rate), _loss(multi_label), metrics=["accuracy"])
    return made


def _loss(multi_label: bool) -> Any:
    if multi_label:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.CategoricalCrossentropy(from_logits=True)
