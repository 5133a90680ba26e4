"""What every option in configs/distillation takes, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from tlcli.config import registry
from tlcli.contracts.distillation import Batch, Outputs, Peer, Shapes
from tlcli.errors import ConfigError

CLASSES, IMAGES = 4, 6
NAMES = [
    path.stem
    for path in sorted((registry.config_root() / "distillation").glob("*.yaml"))
    if path.stem != "none"
]
EXCLUSIVE_ONLY = {"crd", "ctkd", "dist", "dkd", "hard", "mlkd", "nkd", "tf_kd", "wsld"}


def method_of(name):
    path = registry.config_root() / "distillation" / f"{name}.yaml"
    return registry.build("distillation", OmegaConf.to_container(OmegaConf.load(path)))


def signals(seed, channels, dtype):
    """All that a model may give, of one of two networks of the same grid sizes."""
    rng = np.random.default_rng(seed)
    made = lambda *shape: tf.constant(rng.normal(size=(IMAGES, *shape)), dtype)  # noqa: E731
    maps = tuple(made(side, side, channels) for side in (8, 4, 4, 2))
    return Outputs(made(CLASSES), made(channels), maps, maps, head_map=made(2, 2, 5))


class Networks:
    """Linear classifiers of the images, in half precision."""

    def __init__(self, dtype):
        self.dtype, self.student = dtype, self.copy_of(dtype)

    @staticmethod
    def copy_of(dtype):
        layers = [keras.layers.Flatten(dtype=dtype), keras.layers.Dense(CLASSES, dtype=dtype)]
        return keras.Sequential([keras.Input((4, 4, 3)), *layers])

    def copy(self):
        return self.copy_of(self.dtype)

    def peer(self, changes, number, where):
        return Peer(self.copy(), (), "frozen")


def shapes_of(student, teacher, **more):
    sizes = lambda maps: tuple(tuple(m.shape[1:]) for m in maps)  # noqa: E731
    return Shapes(
        CLASSES, 32, student.embedding.shape[-1], teacher.embedding.shape[-1],
        sizes(student.features), sizes(teacher.features), np.arange(32) % CLASSES, **more,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_mixed_labels_and_half_precision_are_finite(name, dtype):
    import dataclasses

    method, student, teacher = method_of(name), signals(0, 3, dtype), signals(1, 3, dtype)
    weights = tf.constant(np.random.default_rng(2).normal(size=(3, CLASSES)), tf.float32)
    teacher = dataclasses.replace(teacher, head=lambda e: e @ tf.cast(weights, e.dtype))
    shapes = shapes_of(student, teacher, networks=Networks(f"mixed_{dtype}"))
    method.checked(shapes)
    state = method.state(shapes)
    mixed = 0.7 * np.eye(CLASSES)[np.arange(IMAGES) % 4] + 0.3 * np.eye(CLASSES)[[1, 0, 0, 2, 3, 3]]
    mixed = mixed.astype("float32")
    batch = Batch(
        tf.constant(mixed, tf.float32), tf.range(IMAGES, dtype=tf.int64), 0.5, 30.0,
        tf.constant([1, 2], tf.int32),
        images=tf.random.stateless_uniform((IMAGES, 4, 4, 3), [1, 2]),
        label_loss=lambda logits: -tf.reduce_sum(mixed * tf.nn.log_softmax(logits), -1),
    )  # fmt: skip
    watched = [student.logits, student.embedding, *student.features, student.head_map]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss = method.loss(batch, student, teacher if method.needs_teacher else None, state)
    assert loss.dtype == tf.float32
    assert loss.shape == (IMAGES,)
    assert np.isfinite(loss).all()
    found = [g for g in tape.gradient(loss, watched) if g is not None]
    assert any(np.abs(tf.cast(g, tf.float32)).max() > 0 for g in found)
    assert all(np.isfinite(tf.cast(g, tf.float32)).all() for g in found)


@pytest.mark.parametrize("name", NAMES)
def test_independent_classes_are_refused_or_finite(name):
    method = method_of(name)
    student, teacher = signals(0, 3, "float32"), signals(1, 3, "float32")
    shapes = shapes_of(student, teacher, multi_label=True)
    module = type(method).__module__.rpartition(".")[2]
    if module in EXCLUSIVE_ONLY:
        with pytest.raises(ConfigError, match="exclusive"):
            method.checked(shapes)
        return
    method.checked(shapes)
    assert method.multi_label_ok


def test_a_method_without_teacher_is_checked_too():
    from tlcli.config import compose
    from tlcli.config.job import train_job
    from tlcli.contracts.distillation import NO_STATE
    from tlcli.distill.attach import attach
    from tlcli.distill.teaching import NoTeacher
    from tlcli.training.build import pieces_of

    words = ["hardware=cpu", "data.images_per_class=4", "distillation=tf_kd", "cache=off"]
    lesson = attach(pieces_of(train_job(compose.plain(compose.read("train", words)))))
    assert lesson.state is NO_STATE
    assert isinstance(lesson.teacher, NoTeacher)
    with pytest.raises(ConfigError, match="exclusive"):
        lesson.method.checked(Shapes(4, 10, multi_label=True))
