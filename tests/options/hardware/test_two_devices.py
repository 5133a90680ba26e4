"""What crosses devices gives on two of them, with uneven shares, what it gives on one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
# Five images on the first device, three on the second.
CODE = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tlcli.config import registry
from tlcli.contracts.distillation import NO_STATE, Batch, Outputs, Shapes
from tlcli.training.share import Share
from tlcli.models.fused_batch_norm import FusedBatchNormalization
from tlcli.models.image_dropout import ImageDropout, of_images
from tlcli.training.replicas import replica_number

SHARES = (Share(0, 5, 3), Share(5, 3, 0))
found = {}
draw = np.random.default_rng(3)
def normal(*shape): return draw.normal(0.5, 2, shape).astype("float32")
maps, others = normal(8, 4, 4, 3), normal(8, 4, 4, 3)
vectors, theirs = normal(8, 6), normal(8, 6)
logits, wanted = normal(8, 4), normal(8, 4)
labels = np.eye(4, dtype="float32")[[0, 1, 2, 3, 0, 1, 2, 3]]

def on_two(function):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]) if not made else made[0]
    made[:] = [strategy]
    def one():
        share = SHARES[replica_number()]
        return function(share, slice(share.before, share.before + share.own))
    each = tf.function(lambda: strategy.run(one))()
    return [np.concatenate([v.numpy() for v in strategy.experimental_local_results(x)])
            for x in each]
made = []
on_two(lambda share, mine: (tf.constant(vectors[mine]),))

def method_of(name):
    return registry.build("distillation", registry.defaults("distillation", name, "x"))

def loss_of(method, state, share, mine, student):
    batch = Batch(labels=tf.constant(labels[mine]), share=share)
    teacher = Outputs(wanted[mine], theirs[mine], (others[mine],))
    return method.loss(batch, student, teacher, state)

for name in ("rkd", "cc", "sp", "pkt", "dist", "mlkd"):
    method = method_of(name)
    shapes = Shapes(4, 8, 6, 6, ((4, 4, 3),), ((4, 4, 3),))
    with made[0].scope():
        state = method.state(shapes)
    def losses(share, mine):
        own = [tf.constant(x[mine]) for x in (logits, vectors, maps)]
        with tf.GradientTape() as tape:
            tape.watch(own)
            loss = loss_of(method, state, share, mine, Outputs(own[0], own[1], (own[2],)))
            total = tf.reduce_sum(loss)
        grads = tape.gradient(total, own, unconnected_gradients="zero")
        return (loss, *grads)
    for where, got in (("two", on_two(losses)), ("one", losses(None, slice(None)))):
        for part, value in zip(("loss", "logits", "vectors", "maps"), got):
            found[f"{name} {part} {where}"] = np.asarray(value)

def norm():
    layer = FusedBatchNormalization(synchronized=True)
    layer.build((None, 4, 4, 3))
    return layer
def normed(layer, mine):
    images = tf.constant(maps[mine])
    with tf.GradientTape() as tape:
        tape.watch(images)
        out = layer(images, training=True)
        total = tf.reduce_sum(out * others[mine])
    return out, tape.gradient(total, images)
with made[0].scope():
    layer = norm()
alone = norm()
two, one = on_two(lambda share, mine: normed(layer, mine)), normed(alone, slice(None))
for part, a, b in zip(("outputs", "gradients"), two, one):
    found[f"norm {part} two"], found[f"norm {part} one"] = a, np.asarray(b)
for part in ("moving_mean", "moving_variance"):
    copies = made[0].experimental_local_results(getattr(layer, part).value)
    found[f"norm {part} two"] = np.stack([c.numpy() for c in copies])
    found[f"norm {part} one"] = np.stack([getattr(alone, part).numpy()] * 2)

drop = ImageDropout(0.5)
def dropped(mine):
    with of_images(tf.constant([1, 2]), tf.range(8, dtype=tf.int64)[mine]):
        return drop(tf.ones((8, 9))[mine], training=True)
found["dropout mask two"] = on_two(lambda share, mine: (dropped(mine),))[0]
found["dropout mask one"] = dropped(slice(None)).numpy()
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("two") / "found.npz"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(out)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as file:
        return dict(file)


@pytest.mark.parametrize("name", ["rkd", "cc", "sp", "pkt", "dist", "mlkd"])
@pytest.mark.parametrize("part", ["loss", "logits", "vectors", "maps"])
def test_relations_are_those_of_all_images(found, name, part):
    one, two = found[f"{name} {part} one"], found[f"{name} {part} two"]
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5 * max(1, np.abs(one).max()))


@pytest.mark.parametrize("part", ["outputs", "gradients", "moving_mean", "moving_variance"])
def test_synchronised_statistics_are_those_of_all_images(found, part):
    np.testing.assert_allclose(
        found[f"norm {part} two"], found[f"norm {part} one"], rtol=1e-5, atol=1e-6
    )


def test_dropout_is_that_of_one_device(found):
    np.testing.assert_array_equal(found["dropout mask two"], found["dropout mask one"])
    assert 0 < (found["dropout mask one"] == 0).mean() < 1
