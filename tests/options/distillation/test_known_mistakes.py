"""Mistakes that distillation tools have shipped: each is planted here, and its check must fail.

A check compares with numbers worked out by hand. It must pass on the code as it is, and must not
pass once the mistake is planted, so that no check is one that cannot fail.
"""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests.helpers import methods
from tlcli.contracts.distillation import Batch, Outputs, Shapes
from tlcli.errors import ConfigError
from tlcli.options.distillation import (
    _logits,
    _states,
    at,
    cc,
    crd,
    ctkd,
    dist,
    dkd,
    fitnet,
    kd,
    mlkd,
    nkd,
    nst,
    ofd,
    pkt,
    review_kd,
    rkd,
    simkd,
    sp,
    srrl,
    tf_kd,
    wsld,
)
from tlcli.options.distillation._contrast import Classes

right = _logits.soft_divergence


class Altered:
    """A module with some of its functions replaced."""

    def __init__(self, module, **replaced):
        self.__dict__.update(vars(module), **replaced)


def logits(*rows):
    return Outputs(tf.constant(rows, "float32"))


def maps(*arrays, key="features"):
    count = len(arrays[0])
    found = tuple(tf.constant(a, "float32") for a in arrays)
    return Outputs(tf.zeros((count, 4)), **{key: found})


def embedded(rows):
    return Outputs(tf.zeros((len(rows), 4)), tf.constant(rows, "float32"))


def loss(name, student, teacher, batch=None, state=None, **options):
    method = methods.make(name, **options)
    return np.asarray(method.loss(batch or Batch(None), student, teacher, state))


def same(found, expected, **tolerance):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-4, "atol": 1e-6, **tolerance})


# ---- logits -------------------------------------------------------------------------------------


def kd_at_high_temperature():
    # T² KL tends to the mean over classes of squared centred differences, halved: (1 + 1) / 2 / 2.
    found = loss("kd", logits([1, -1]), logits([0, 0]), temperature=1e3, hard_weight=0.0)
    same(found, [0.5], rtol=1e-3)


def kd_by_hand():
    # Teacher (3/4, 1/4) and student (1/2, 1/2), which is no sum that is the same both ways.
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    same(loss("kd", logits([0, 0]), logits([math.log(3), 0]), temperature=1.0), [expected])


def kd_of_a_sure_wrong_student():
    same(loss("kd", logits([0, 30]), logits([30, 0]), temperature=1.0), [30.0])


def clipped(student, teacher, temperature):
    """Keras' own: no softmax, clipped."""
    p, q = (tf.clip_by_value(z / temperature, 1e-7, 1.0) for z in (teacher, student))
    return tf.reduce_sum(p * tf.math.log(p / q), -1)


def clipped_probabilities(student, teacher, temperature):
    p, q = (tf.clip_by_value(tf.nn.softmax(z / temperature), 1e-7, 1.0) for z in (teacher, student))
    return temperature**2 * tf.reduce_sum(p * tf.math.log(p / q), -1)


def standardised_by_hand():
    # (2, 0) has the unbiased deviation √2 and becomes ±1/√2; (0, 0) stays.
    found = loss("logits_mse", logits([2, 0]), logits([0, 0]), standardise=True)
    same(found, [0.5])


def biased(values, least=0.0):
    centred = values - tf.reduce_mean(values, -1, keepdims=True)
    return centred / (1e-7 + tf.math.reduce_std(values, -1, keepdims=True))


def dist_of_equal_models():
    z = logits([1, 0, 2], [0, 3, 1])
    same(loss("dist", z, z), [0, 0], atol=1e-4)
    opposite = Outputs(-z.logits)
    assert (loss("dist", opposite, z) > 1).all()


def dkd_of_two_classes():
    with pytest.raises(ConfigError, match="needs 3 classes"):
        methods.make("dkd").checked(Shapes(2, 9))


def others_of_sure_models(name):
    """KL or cross-entropy of (2/3, 1/3) and (1/2, 1/2) behind a target that rounds to 1."""
    p, q = np.array([2, 1]) / 3, np.array([1, 1]) / 2
    cross = -(p * np.log(q)).sum()
    expected = cross + (p * np.log(p)).sum() if name == "dkd" else cross

    def check():
        student, teacher = logits([90, 0, 0]), logits([90, math.log(2), 0])
        options = {"temperature": 1.0, "target_weight": 0.0, "nontarget_weight": 1.0}
        batch = Batch(methods.one_hot([0], 3))
        same(loss(name, student, teacher, batch, **options), [expected])

    return check


def others_beyond_a_mask():
    """Logits 2000 below the target's: -1000 in its place would still be the largest."""
    student, teacher = logits([2000, 0, 0]), logits([2000, math.log(2), 0])
    options = {"temperature": 1.0, "target_weight": 0.0, "nontarget_weight": 1.0}
    p = np.array([2, 1]) / 3
    expected = (p * np.log(p / 0.5)).sum()
    batch = Batch(methods.one_hot([0], 3))
    same(loss("dkd", student, teacher, batch, **options), [expected], rtol=5e-3)


def masked_by_1000(log_p, values):
    """Mean under the softmax whose own class is lowered by 1000."""
    classes = log_p.shape[-1]
    lowered = log_p[:, None, :] - 1000.0 * tf.eye(classes)
    return tf.einsum("bcj,bj->bc", tf.nn.softmax(lowered), values)


def mixed_label_is_an_expectation(name):
    def check():
        pair = logits([1, 0, 2, -1]), logits([0, 2, 1, 1])
        first, second, mixed = (
            loss(name, *pair, Batch(np.array([label], "float32")))
            for label in ([1, 0, 0, 0], [0, 1, 0, 0], [0.6, 0.4, 0, 0])
        )
        assert abs(first - second) > 0.1
        same(mixed, 0.6 * first + 0.4 * second)

    return check


def by_argmax(module):
    """Treat a mixed label as its largest class."""
    term = module.Distillation.term

    def wrong(self, batch, student, teacher, state):
        labels = tf.one_hot(tf.argmax(batch.labels, -1), batch.labels.shape[-1])
        return term(self, dataclasses.replace(batch, labels=labels), student, teacher, state)

    return wrong


def wsld_weight_has_no_gradient():
    # Student (0, 0): CE log 2 as the teacher's, weight 1 - 1/e; gradient of the soft term alone.
    student = tf.constant([[0.0, 0.0]])
    batch, method = Batch(methods.one_hot([0], 2)), methods.make("wsld", temperature=1.0)
    with tf.GradientTape() as tape:
        tape.watch(student)
        found = method.loss(batch, Outputs(student), logits([0, math.log(3)]))
    weight = 1 - math.exp(-math.log(2) / math.log(4))
    same(found, [weight * math.log(2)])
    same(tape.gradient(found, student), [[weight * (0.5 - 0.25), weight * (0.5 - 0.75)]])


def mlkd_leaves_out_sure_images():
    options = {"batch_weight": 0.0, "class_weight": 0.0, "confidence_quantile": 0.5}
    student, teacher = logits([1, 0], [1, 0], [1, 0]), logits([9, 0], [0, 3], [0, 1])
    found = loss("mlkd", student, teacher, temperatures=[1.0], **options)
    assert found[0] == 0
    assert found[1] > 1
    unsure = np.array([1, math.e]) / (1 + math.e)
    same(found[2], (unsure * np.log(unsure / unsure[::-1])).sum())


def tf_kd_sums_over_classes():
    # At T 1 the virtual teacher is (0.9, 0.05, 0.05), the student uniform.
    p = np.array([0.9, 0.05, 0.05])
    options = {"temperature": 1.0, "correct_probability": 0.9}
    found = loss("tf_kd", logits([0, 0, 0]), None, Batch(methods.one_hot([0], 3)), **options)
    same(found, [(p * np.log(p * 3)).sum()])


def temperature_climbs():
    """The loss here rises with T, so a reversed gradient is below 0: descent then raises T."""
    method = methods.make("ctkd")
    state = method.state(Shapes(3, 8))
    with tf.GradientTape() as tape:
        found = method.loss(Batch(None, epoch=20.0), logits([0, 0, 9]), logits([9, 0, 0]), state)
    step = 1e-2
    theta, start = state.theta, np.asarray(found)[0]
    theta.assign(1.0 + step)
    moved = method.loss(Batch(None, epoch=20.0), logits([0, 0, 9]), logits([9, 0, 0]), state)
    slope = (np.asarray(moved)[0] - start) / step
    same(tape.gradient(found, theta.value), -slope, rtol=5e-2)
    assert abs(slope) > 1e-2


# ---- maps ---------------------------------------------------------------------------------------


def sp_rows_by_hand():
    # Gram rows (4, 2), (2, 5) of lengths √20 and √29; sums of absolute values would be 6 and 7.
    student = maps(np.reshape([[2.0, 0], [1, 2]], (2, 1, 1, 2)))
    teacher = maps(np.reshape([[1.0, 0], [0, 1]], (2, 1, 1, 2)))
    a, b = math.sqrt(20), math.sqrt(29)
    expected = [((4 / a - 1) ** 2 + (2 / a) ** 2) / 2, ((2 / b) ** 2 + (5 / b - 1) ** 2) / 2]
    same(loss("sp", student, teacher), expected)


def l1_rows(vectors, axis=-1):
    return vectors / tf.reduce_sum(tf.abs(vectors), axis, keepdims=True)


def attention_by_hand():
    # Squares (9, 16) and (16, 9) of two pixels, both of length √337; a mean over the pixels.
    student = maps(np.reshape([3.0, 4.0], (1, 1, 2, 1)))
    teacher = maps(np.reshape([4.0, 3.0], (1, 1, 2, 1)))
    same(loss("at", student, teacher), [(7 / math.sqrt(337)) ** 2])


def attention_of_a_negative_map():
    student = maps(np.reshape([3.0, -4.0, 1.0, 2.0], (1, 2, 2, 1)))
    teacher = maps(np.abs(student.features[0]))
    same(loss("at", student, teacher, power=3.0), [0.0])


def nst_by_hand():
    # One channel each, patterns (1, 0) and (0.6, 0.8): 1 + 1 - 2 · 0.6². Scale does not matter.
    student = maps(np.reshape([7.0, 0.0], (1, 1, 2, 1)))
    teacher = maps(np.reshape([3.0, 4.0], (1, 1, 2, 1)))
    same(loss("nst", student, teacher), [2 - 2 * 0.36])


def built(name, student, teacher, **options):
    method = methods.make(name, **options)

    def sizes(outputs, key):
        return tuple(tuple(f.shape[1:]) for f in getattr(outputs, key))

    key = "preactivations" if student.preactivations else "features"
    dims = [0 if o.embedding is None else o.embedding.shape[-1] for o in (student, teacher)]
    return method, method.state(Shapes(4, 8, *dims, sizes(student, key), sizes(teacher, key)))


def some_map(channels, side=4, count=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, side, side, channels))


def variances_get_a_gradient():
    student, teacher = maps(some_map(2)), maps(some_map(3, seed=1))
    method, state = built("vid", student, teacher)
    scale = state.part(0).scale
    assert any(v is scale for v in state.trainable_variables)
    with tf.GradientTape() as tape:
        found = method.loss(Batch(None), student, teacher, state)
    gradient = tape.gradient(found, scale.value)
    assert gradient is not None
    assert np.abs(gradient).min() > 0


def regressor_gets_a_gradient():
    student, teacher = maps(some_map(2)), maps(some_map(3, seed=1))
    method, state = built("fitnet", student, teacher)
    values = [v.value for v in state.trainable_variables]
    assert len(values) == 3
    with tf.GradientTape() as tape:
        found = method.loss(Batch(None), student, teacher, state)
    assert all(g is not None and np.abs(g).max() > 0 for g in tape.gradient(found, values))


def margin_of_a_centred_channel():
    # E[x | x < 0] of a normal of deviation 2 is -2 √(2/π); nearly always positive: -3 deviations.
    same(ofd.margins([0.0, 20.0], [2.0, 2.0]), [-2 * math.sqrt(2 / math.pi), -6.0])


def unconditional(mean, deviation):
    return np.asarray(mean, "float32") - np.asarray(deviation, "float32")


def ofd_ignores_what_stays_off():
    # The connector's BatchNorm makes the student ±1 over two pixels.
    student = maps(np.reshape([-1.0, 1.0], (1, 1, 2, 1)), key="preactivations")
    teacher = maps(np.reshape([-0.5, -0.5], (1, 1, 2, 1)), key="preactivations")
    method = methods.make("ofd")
    shapes = Shapes(4, 8, 0, 0, ((1, 2, 1),), ((1, 2, 1),), teacher_norms=(([0.0], [1.0]),))
    # Both pixels have the target -0.5: only the one above it counts, 1.5².
    found = method.loss(Batch(None), student, teacher, method.state(shapes))
    same(found, [1.5**2], rtol=1e-3)


def scales_weigh_one_in_all():
    difference = tf.fill((2, 8, 8, 3), 0.7)
    same(review_kd._scales_distance(difference, tf.zeros_like(difference)), [0.49, 0.49])


def middle_channels_are_limited():
    student = dataclasses.replace(maps(some_map(6)), embedding=tf.zeros((3, 6)))
    teacher = dataclasses.replace(maps(some_map(5, seed=1)), embedding=tf.zeros((3, 5)))
    _, state = built("review_kd", student, teacher, tap="features", middle_channels=2)
    assert {state.part(i).inward.convolution.filters for i in range(2)} == {2}


def simkd_sees_pixels():
    zeros = tf.zeros((1, 4))
    student = Outputs(zeros, head_map=tf.reshape([3.0, 1.0], (1, 1, 2, 1)))
    teacher = Outputs(zeros, head_map=tf.reshape([1.0, 3.0], (1, 1, 2, 1)))
    same(loss("simkd", student, teacher), [4.0])


def srrl_reaches_its_connector():
    head = tf.constant(np.random.default_rng(3).normal(size=(3, 4)), "float32")
    student = dataclasses.replace(maps(some_map(2)), embedding=tf.zeros((3, 2)))
    teacher = dataclasses.replace(
        maps(some_map(3, seed=1)), embedding=tf.ones((3, 3)), head=lambda e: e @ head
    )
    method, state = built("srrl", student, teacher, feature_weight=0.0)
    kernel = state.part(0).convolution.kernel.value
    with tf.GradientTape() as tape:
        found = method.loss(Batch(None), student, teacher, state)
    gradient = tape.gradient(found, kernel)
    assert gradient is not None
    assert np.abs(gradient).max() > 0


# ---- relations and memories ---------------------------------------------------------------------


def distances_over_positive_ones():
    # Distances 1, 2, 3 against 2, 2, 2, both of mean 2 without the diagonal's zeros.
    student, teacher = embedded([[0, 0], [1, 0], [3, 0]]), embedded([[0, 0], [2, 0], [1, 3**0.5]])
    found = loss("rkd", student, teacher, distance_weight=1.0, angle_weight=0.0)
    same(found, [0.25 / 3, 0.125 / 3, 0.125 / 3])


def over_all(differences):
    distances = tf.sqrt(tf.maximum(tf.reduce_sum(differences**2, -1), 1e-12))
    return distances / tf.reduce_mean(distances)


def equal_images_have_a_finite_angle():
    student = tf.constant([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(student)
        found = methods.make("rkd").loss(
            Batch(None), Outputs(tf.zeros((3, 4)), student), embedded([[1, 1], [0, 1], [2, 0]])
        )
    assert np.isfinite(found).all()
    assert np.isfinite(tape.gradient(found, student)).all()


def by_length(vectors, axis=-1):
    return vectors / tf.norm(vectors, axis=axis, keepdims=True)


def pkt_over_all_pairs():
    # Rows (2/3, 1/3) of orthogonal embeddings against (1/2, 1/2) of equal ones.
    found = loss("pkt", embedded([[1, 0], [0, 1]]), embedded([[1, 1], [1, 1]]))
    same(found, [(0.5 * math.log(0.75) + 0.5 * math.log(1.5)) / 2] * 2, rtol=1e-3)


def cc_takes_neighbours():
    student, teacher = embedded([[1.0], [2.0], [4.0]]), embedded([[0.0], [0.0], [0.0]])
    method = methods.make("cc", embedding_size=1)
    state = method.state(Shapes(4, 8, 1, 1))
    state.student.kernel.assign([[1.0]])
    # Differences 1, 2, 4: (1 · 2 + 2 · 4) / 2 neighbours.
    same(method.loss(Batch(None), student, teacher, state), [5.0] * 3)


CLASSES = np.array([0, 1, 0, 1, 0, 1])
BATCH = Batch(None, indices=tf.constant([4, 1]), seed=tf.constant([3, 4]))
PAIR = (embedded([[1, 0], [0, 1]]), embedded([[0, 2], [1, 1]]))


def memory():
    method = methods.make("crd", negatives=3, embedding_size=2)
    return method, method.state(Shapes(2, 6, 2, 2, labels=CLASSES))


def memories_move_by_sample():
    method, state = memory()
    before = state.student_bank.numpy()
    method.update(BATCH, *PAIR, state)
    changed = np.abs(state.student_bank.numpy() - before).max(1) > 0
    np.testing.assert_array_equal(changed, [False, True, False, False, True, False])


def by_place(bank, indices, embeddings, momentum):
    crd_move(bank, tf.range(len(indices)), embeddings, momentum)


crd_move = crd._move


def constant_counts_the_samples():
    # Scores 0: exp is 1, its mean over any draws times the 6 samples is 6.
    same(crd._log_constant(tf.zeros((2, 4)), 6), math.log(6))


def constants_stay():
    method, state = memory()
    method.update(BATCH, *PAIR, state)
    first = float(state.student_constant)
    for _ in range(2):
        method.update(BATCH, PAIR[0], PAIR[1], state)
    assert float(state.student_constant) == first
    assert float(state.started) == 1.0


def forgetful(method_update):
    def update(self, batch, student, teacher, state=None):
        state.started.assign(0.0)
        method_update(self, batch, student, teacher, state)

    return update


def negatives_are_of_other_classes():
    _, state = memory()
    drawn = state.by_class.others(BATCH.indices, 50, BATCH.seed).numpy()
    assert (CLASSES[drawn] != CLASSES[[4, 1]][:, None]).all()


def any_image(self, indices, number, seed):
    shape = (tf.shape(indices)[0], number)
    return tf.random.stateless_uniform(shape, seed, 0, len(self.labels), dtype=tf.int32)


CONTRAST = crd.Distillation
MISTAKES = {
    "KD without T² (torchdistill without labels)": (
        kd, "soft_divergence", lambda s, t, tau: right(s, t, tau) / tau**2, kd_at_high_temperature),
    "KD as mean over classes (TAKD, Tf-KD, DeiT)": (
        kd, "soft_divergence", lambda s, t, tau: right(s, t, tau) / s.shape[-1], kd_by_hand),
    "KD with student and teacher exchanged": (
        kd, "soft_divergence", lambda s, t, tau: right(t, s, tau), kd_by_hand),
    "KD of raw logits (Keras' default)": (kd, "soft_divergence", clipped, kd_by_hand),
    "KD of clipped probabilities (Keras)": (
        kd, "soft_divergence", clipped_probabilities, kd_of_a_sure_wrong_student),
    "standardised by the biased deviation": (
        _logits, "standardised", biased, standardised_by_hand),
    "DIST with the sign of a correlation (DIST+)": (
        dist, "_correlation", lambda a, b, axis: 1 - dist_correlation(a, b, axis),
        dist_of_equal_models),
    "DKD of two classes": (dkd.Distillation, "min_classes", 2, dkd_of_two_classes),
    "DKD by log(1 - p)": (
        dkd, "log_complement", lambda z: tf.math.log(1 - tf.exp(z)), others_of_sure_models("dkd")),
    "NKD by log(1 - p)": (
        nkd, "log_complement", lambda z: tf.math.log(1 - tf.exp(z)), others_of_sure_models("nkd")),
    "DKD with the target lowered by 1000": (
        dkd, "mean_outside", masked_by_1000, others_beyond_a_mask),
    "DKD of a mixed label's largest class": (
        dkd.Distillation, "term", by_argmax(dkd), mixed_label_is_an_expectation("dkd")),
    "NKD of a mixed label's largest class": (
        nkd.Distillation, "term", by_argmax(nkd), mixed_label_is_an_expectation("nkd")),
    "WSLD with a gradient through its weight": (
        wsld, "ops", Altered(ops, stop_gradient=lambda x: x), wsld_weight_has_no_gradient),
    "MLKD averaged before its mask (released code)": (
        mlkd, "soft_divergence", lambda s, t, tau: tf.reduce_mean(right(s, t, tau)) + 0 * s[:, 0],
        mlkd_leaves_out_sure_images),
    "Tf-KD as mean over classes": (
        tf_kd, "soft_divergence", lambda s, t, tau: right(s, t, tau) / 3, tf_kd_sums_over_classes),
    "CTKD whose temperature descends": (
        ctkd.Distillation, "reversal_factor", lambda self, epoch: -1.0, temperature_climbs),
    "SP with L1 rows (torchdistill)": (sp, "unit", l1_rows, sp_rows_by_hand),
    "AT as a length instead of a mean of squares": (
        at, "per_image", lambda x: tf.sqrt(tf.reduce_sum(x, 1)), attention_by_hand),
    "AT without normalisation": (at, "unit", lambda x: x, attention_by_hand),
    "AT without absolute values": (
        at, "ops", Altered(ops, abs=lambda x: x), attention_of_a_negative_map),
    "NST normalised over channels": (
        nst, "unit", lambda x, axis: x / tf.norm(x, axis=-1, keepdims=True), nst_by_hand),
    "VID with fixed variances (mdistiller)": (
        _states.Variational, "variance", lambda self: tf.stop_gradient(variance(self)),
        variances_get_a_gradient),
    "FitNet's regressor out of reach": (
        fitnet, "per_image", lambda x: tf.stop_gradient(tf.reduce_mean(x, (1, 2, 3))),
        regressor_gets_a_gradient),
    "OFD's margin without its condition": (
        ofd, "margins", unconditional, margin_of_a_centred_channel),
    "OFD that counts what stays off": (
        ofd, "ops", Altered(ops, logical_or=lambda a, b: tf.ones_like(a)),
        ofd_ignores_what_stays_off),
    "ReviewKD's scales not divided by their sum": (
        review_kd, "_scales_distance", lambda a, b: 1.875 * scales(a, b), scales_weigh_one_in_all),
    "ReviewKD without its most channels (mdistiller)": (
        review_kd, "min", lambda most, own: own, middle_channels_are_limited),
    "SimKD after pooling": (
        simkd, "common_size",
        lambda a, b: [tf.reduce_mean(x, (1, 2), keepdims=True) for x in (a, b)],
        simkd_sees_pixels),
    "SRRL with no gradient through the teacher's head": (
        srrl, "ops", Altered(ops, cast=lambda x, kind: tf.stop_gradient(x)),
        srrl_reaches_its_connector),
    "RKD's mean over zeros too": (rkd, "_distances", over_all, distances_over_positive_ones),
    "RKD's angles of equal images": (rkd, "unit", by_length, equal_images_have_a_finite_angle),
    "PKT as a sum": (pkt, "per_image", lambda x: tf.reduce_sum(x, 1), pkt_over_all_pairs),
    "CC without absolute values": (
        cc, "ops", Altered(ops, abs=lambda x: -tf.square(x)), cc_takes_neighbours),
    "CRD's memory by place in the batch": (crd, "_move", by_place, memories_move_by_sample),
    "CRD's constant without the number of images": (
        crd, "_log_constant", lambda s, n: log_constant(s, 1), constant_counts_the_samples),
    "CRD's constant of every batch": (
        CONTRAST, "update", forgetful(CONTRAST.update), constants_stay),
    "CRD's negatives of the same class": (
        Classes, "others", any_image, negatives_are_of_other_classes),
}  # fmt: skip
dist_correlation, variance = dist._correlation, _states.Variational.variance
scales, log_constant = review_kd._scales_distance, crd._log_constant


@pytest.mark.parametrize("name", MISTAKES)
def test_a_known_mistake_is_absent_and_would_be_seen(monkeypatch, name):
    place, attribute, mistake, check = MISTAKES[name]
    check()
    monkeypatch.setattr(place, attribute, mistake, raising=False)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check()
