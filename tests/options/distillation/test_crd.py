"""Contrastive distillation: loss, draws of negatives, memories and constants."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import Batch, Shapes
from tlcli.errors import ConfigError

CLASSES = np.array([2, 0, 1, 0, 2, 1, 1, 0, 2, 2])
SEED = (5, 9)
INDICES = [7, 2, 4]


@pytest.fixture
def parts(rng):
    """Method, state and one batch of a training set of 10 images."""
    method = methods.make("crd", negatives=6, embedding_size=5, temperature=0.3)
    shapes = Shapes(3, 10, 4, 3, labels=CLASSES)
    method.checked(shapes)
    student, teacher = ({"embedding": rng.normal(size=(3, d)).astype("float32")} for d in (4, 3))
    batch = Batch(None, indices=tf.constant(INDICES, tf.int64), seed=tf.constant(SEED))
    return method, method.state(shapes), batch, student, teacher


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def array(weight):
    return weight.numpy().astype("float64")


def embedded(state, student, teacher):
    layers = (state.embeddings.student, state.embeddings.teacher)
    return [
        unit(s["embedding"] @ array(layer.kernel) + array(layer.bias))
        for layer, s in zip(layers, (student, teacher), strict=True)
    ]


def scores(method, state, student, teacher):
    """Products over temperature of both directions, the positive first."""
    others = state.by_class.others(tf.constant(INDICES), method.negatives, tf.constant(SEED))
    ours, theirs = embedded(state, student, teacher)
    result = []
    for e, bank in ((ours, state.teacher_bank), (theirs, state.student_bank)):
        rows = [[array(bank)[j] for j in (i, *o)] for i, o in zip(INDICES, others, strict=True)]
        result.append(np.einsum("bd,bkd->bk", e, np.array(rows)) / method.temperature)
    return result


def oracle_of(method, state, constants=None):
    def oracle(s, t):
        total = 0
        for index, score in enumerate(scores(method, state, s, t)):
            z = constants[index] if constants else 10 * np.exp(score).mean()
            h, noise = np.exp(score) / z, method.negatives / 10
            total = total - np.log(h[:, 0] / (h[:, 0] + noise + 1e-7))
            total = total - np.log(noise / (h[:, 1:] + noise + 1e-7)).sum(1)
        return total

    return oracle


def constants_of(method, state, student, teacher):
    return [10 * np.exp(s).mean() for s in scores(method, state, student, teacher)]


def test_loss_of_the_first_batch_sets_its_own_constants(parts):
    method, state, batch, student, teacher = parts
    # The constants have no gradient, so they are fixed for the differences.
    fixed = constants_of(method, state, student, teacher)
    own = oracle_of(method, state)(student, teacher)
    np.testing.assert_allclose(own, oracle_of(method, state, fixed)(student, teacher))
    oracle = oracle_of(method, state, fixed)
    methods.agree(method, oracle, student, teacher, "embedding", batch, state)


def test_constants_freeze_after_the_first_batch(parts, rng):
    method, state, batch, student, teacher = parts
    fixed = constants_of(method, state, student, teacher)
    first = (methods.outputs(student), methods.outputs(teacher))
    method.update(batch, *first, state)
    stored = [float(state.student_constant), float(state.teacher_constant)]
    np.testing.assert_allclose(np.exp(stored), fixed, rtol=1e-5)
    other = {"embedding": rng.normal(size=(3, 4)).astype("float32")}
    method.update(batch, methods.outputs(other), first[1], state)
    assert stored == [float(state.student_constant), float(state.teacher_constant)]
    oracle = oracle_of(method, state, fixed)
    methods.agree(method, oracle, other, teacher, "embedding", batch, state)


def test_memories_move_by_hand(parts):
    method, state, batch, student, teacher = parts
    before = [array(state.student_bank), array(state.teacher_bank)]
    method.update(batch, methods.outputs(student), methods.outputs(teacher), state)
    new = embedded(state, student, teacher)
    banks = (state.student_bank, state.teacher_bank)
    for bank, old, e in zip(banks, before, new, strict=True):
        expected = old.copy()
        expected[INDICES] = unit(0.5 * old[INDICES] + 0.5 * e)
        np.testing.assert_allclose(array(bank), expected, rtol=1e-5, atol=1e-7)
        still = [i for i in range(10) if i not in INDICES]
        np.testing.assert_array_equal(array(bank)[still], old[still])


def test_an_image_twice_in_a_batch_takes_its_first_embedding(parts):
    method, state, batch, student, teacher = parts
    old = array(state.student_bank)
    twice = Batch(None, indices=tf.constant([7, 2, 7]), seed=batch.seed)
    method.update(twice, methods.outputs(student), methods.outputs(teacher), state)
    first = embedded(state, student, teacher)[0][0]
    moved = array(state.student_bank)[7]
    np.testing.assert_allclose(moved, unit(0.5 * old[7] + 0.5 * first), rtol=1e-5)


def test_negatives_are_every_image_of_another_class_and_no_other(parts):
    state = parts[1]
    indices = np.arange(10)
    drawn = state.by_class.others(tf.constant(indices), 400, tf.constant(SEED)).numpy()
    for index, row in zip(indices, drawn, strict=True):
        others = np.flatnonzero(CLASSES[index] != CLASSES)
        assert index not in row
        np.testing.assert_array_equal(np.unique(row), others)
        # Uniform: 400 draws from 6 or 7 images, each share within five deviations.
        share = 1 / len(others)
        counts = np.bincount(row, minlength=10)[others] / 400
        assert np.abs(counts - share).max() < 5 * np.sqrt(share / 400)


def test_negatives_depend_on_the_seed_alone(parts):
    by_class = parts[1].by_class
    draw = [by_class.others(tf.constant(INDICES), 50, tf.constant(s)) for s in (SEED, SEED, (5, 8))]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert (draw[0].numpy() != draw[2].numpy()).mean() > 0.5


def test_memories_are_not_trained_and_are_equal_each_time(parts):
    method, state, *_ = parts
    frozen = {v.name for v in state.non_trainable_variables}
    both = {f"{side}_{kind}" for side in ("student", "teacher") for kind in ("bank", "constant")}
    assert frozen == both | {"started"}
    assert len(state.trainable_variables) == 4
    again = method.state(Shapes(3, 10, 4, 3, labels=CLASSES))
    for one, other in zip(state.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(array(state.student_bank)).max() <= (3 / 5) ** 0.5
    assert not np.array_equal(array(state.student_bank), array(state.teacher_bank))


def test_extreme_scores_stay_finite(parts):
    _, _, batch, student, teacher = parts
    method = methods.make("crd", negatives=4, embedding_size=5, temperature=1e-4)
    state = method.state(Shapes(3, 10, 4, 3, labels=CLASSES))
    half = [methods.outputs(s, "float16") for s in (student, teacher)]
    with tf.GradientTape() as tape:
        tape.watch(half[0].embedding)
        loss = method.loss(batch, *half, state)
    assert loss.dtype == tf.float32
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, half[0].embedding)).all()


@pytest.mark.parametrize("labels", [None, np.zeros(10, int)])
def test_training_images_without_two_classes_are_refused(labels):
    with pytest.raises(ConfigError, match="have no two classes"):
        methods.make("crd").checked(Shapes(3, 10, 4, 3, labels=labels))


REPLICAS = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
parts = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, parts)
from tlcli.contracts.distillation import Batch, Outputs, Shapes
from tlcli.config import registry
method = registry.build("distillation", {**registry.defaults("distillation", "crd"),
    "soft_weight": 1.0, "negatives": 6, "temperature": 0.3, "momentum": 0.5, "embedding_size": 5})
shapes = Shapes(3, 10, 4, 3, labels=np.array([2, 0, 1, 0, 2, 1, 1, 0, 2, 2]))
rng = np.random.default_rng(0)
s, t = (tf.constant(rng.normal(size=(4, d)), tf.float32) for d in (4, 3))
index = tf.constant([7, 2, 4, 9])
def step(state, rows):
    cut = lambda x: tf.gather(x, rows)
    zeros = tf.zeros((tf.shape(rows)[0], 3))
    batch = Batch(None, indices=cut(index), seed=tf.constant([1, 2]))
    method.update(batch, Outputs(zeros, cut(s)), Outputs(zeros, cut(t)), state)
alone = method.state(shapes)
step(alone, tf.range(4))
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    state = method.state(shapes)
rows = strategy.experimental_distribute_values_from_function(
    lambda c: tf.range(2) + 2 * c.replica_id_in_sync_group)
tf.function(lambda: strategy.run(step, (state, rows)))()
for name in ("student_bank", "teacher_bank"):
    for copy in strategy.experimental_local_results(getattr(state, name).value):
        np.testing.assert_allclose(copy.numpy(), getattr(alone, name).numpy(), rtol=1e-6)
assert state.started.value.numpy() == 1.0
print("equal")
"""


def test_replicas_move_their_memories_alike():
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]
