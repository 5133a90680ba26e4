"""Methods on relations of embeddings against numpy float64."""

import math
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import Batch, Outputs, Shapes
from tlcli.errors import ConfigError

NAMES = ["rkd", "pkt", "cc"]


@pytest.fixture
def pair(rng):
    """Five embeddings of each model, of different dimensions."""
    return tuple({"embedding": rng.normal(size=(5, d)).astype("float32")} for d in (3, 4))


def huber(d):
    return np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5)


def distances(e):
    d = np.array([[math.dist(a, b) for b in e] for a in e])
    return d / d[d > 0].mean()


def angles(e):
    n = len(e)
    result = np.zeros((n, n, n))
    for i in range(n):
        for j in range(n):
            for k in range(n):
                a, b = e[j] - e[i], e[k] - e[i]
                if i not in (j, k):
                    result[i, j, k] = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return result


def rkd(s, t, distance_weight, angle_weight):
    s, t = s["embedding"], t["embedding"]
    one = huber(distances(s) - distances(t)).mean(1)
    return distance_weight * one + angle_weight * huber(angles(s) - angles(t)).mean((1, 2))


@pytest.mark.parametrize("weights", [(25.0, 50.0), (25.0, 0.0)])
def test_rkd(pair, weights):
    method = methods.make("rkd", distance_weight=weights[0], angle_weight=weights[1])
    methods.agree(method, lambda s, t: rkd(s, t, *weights), *pair, "embedding")


def test_rkd_divides_by_the_mean_of_positive_distances():
    # Teacher: distances 2, 2, 2 (mean 2). Student: 1, 2, 3 (mean 2); a mean that counted the three
    # zeros of the diagonal would be 4/3 for both.
    s = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    t = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]])
    method = methods.make("rkd", distance_weight=1.0, angle_weight=0.0)
    loss = method.loss(
        Batch(None), methods.outputs({"embedding": s}), methods.outputs({"embedding": t})
    )
    # Differences: rows (0, -.5, .5), (-.5, 0, 0), (.5, 0, 0); halves of squares over 3 images.
    np.testing.assert_allclose(loss, [0.25 / 3, 0.125 / 3, 0.125 / 3], rtol=1e-5)


def pkt(s, t):
    def conditional(e):
        e = e / np.linalg.norm(e, axis=1, keepdims=True)
        similarity = (e @ e.T + 1) / 2
        return similarity / similarity.sum(1, keepdims=True)

    q, p = conditional(s["embedding"]), conditional(t["embedding"])
    return (p * np.log((p + 1e-7) / (q + 1e-7))).mean(1)


def test_pkt(pair):
    methods.agree(methods.make("pkt"), pkt, *pair, "embedding")


def test_pkt_is_a_mean_over_all_pairs():
    # Student: orthogonal, rows (2/3, 1/3). Teacher: equal, rows (1/2, 1/2). Over 2 x 2 pairs.
    s, t = np.eye(2), np.ones((2, 2))
    loss = methods.make("pkt").loss(
        Batch(None), methods.outputs({"embedding": s}), methods.outputs({"embedding": t})
    )
    expected = (0.5 * math.log(0.75) + 0.5 * math.log(1.5)) / 2
    np.testing.assert_allclose(tf.reduce_mean(loss), expected, rtol=1e-5)


def test_cc(pair):
    method = methods.make("cc", embedding_size=6)
    state = method.state(methods.shapes(*pair))

    def linear(layer, e):
        return e @ layer.kernel.numpy().astype("float64") + layer.bias.numpy()

    def oracle(s, t):
        difference = linear(state.student, s["embedding"]) - linear(state.teacher, t["embedding"])
        difference = np.abs(difference)
        return np.mean([a @ b for a, b in pairwise(difference)])

    methods.agree(method, oracle, *pair, "embedding", state=state)
    assert len(state.trainable_variables) == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["one image", "half precision", "equal images", "zeros"])
def test_value_and_gradient_stay_finite(rng, name, case):
    count = 1 if case == "one image" else 3
    s, t = (rng.normal(size=(count, 4)) for _ in range(2))
    if case == "equal images":
        s, t = s[[0, 0, 1]], t[[0, 0, 0]]
    scale = 0.0 if case == "zeros" else 1.0
    dtype = "float16" if case == "half precision" else "float32"
    student, teacher = (methods.outputs({"embedding": scale * e}, dtype) for e in (s, t))
    method = methods.make(name)
    state = method.state(Shapes(4, 8, student_embedding=4, teacher_embedding=4))
    with tf.GradientTape() as tape:
        tape.watch(student.embedding)
        loss = method.loss(Batch(None), student, teacher, state)
    assert loss.dtype == tf.float32
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, student.embedding)).all()


@pytest.mark.parametrize("name", ["rkd", "pkt", "cc", "sp"])
def test_one_image_has_no_relations(rng, name):
    method = methods.make(name)
    one = {"embedding": rng.normal(size=(1, 4)), "features": [rng.normal(size=(1, 2, 2, 3))]}
    other = {"embedding": rng.normal(size=(1, 4)), "features": [rng.normal(size=(1, 2, 2, 5))]}
    state = method.state(Shapes(4, 8, student_embedding=4, teacher_embedding=4))
    student, teacher = (methods.outputs(o) for o in (one, other))
    np.testing.assert_allclose(method.loss(Batch(None), student, teacher, state), [0], atol=1e-7)


@pytest.mark.parametrize("name", ["rkd", "pkt"])
def test_a_rotated_and_scaled_teacher_has_equal_relations(rng, name):
    embedding = rng.normal(size=(4, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    student, teacher = (
        methods.outputs({"embedding": e}) for e in (embedding, 2.0 * embedding @ rotation)
    )
    loss = methods.make(name).loss(Batch(None), student, teacher)
    np.testing.assert_allclose(loss, np.zeros(4), atol=1e-6)


@pytest.mark.parametrize("name", [*NAMES, "crd", "srrl", "review_kd"])
def test_a_missing_embedding_is_refused(name):
    maps = ((4, 4, 2), (2, 2, 3))
    shapes = Shapes(4, 8, 3, 0, maps, maps, labels=np.array([0, 1]))
    with pytest.raises(ConfigError, match="needs embedding, and the teacher gives none"):
        methods.make(name).checked(shapes)


def test_missing_maps_are_refused():
    with pytest.raises(ConfigError, match="at needs features, and the student gives none"):
        methods.make("at").checked(Shapes(4, 8))


def test_the_gradient_stops_at_the_teachers_embedding(pair):
    student, teacher = map(methods.outputs, pair)
    with tf.GradientTape() as tape:
        tape.watch(teacher.embedding)
        loss = methods.make("rkd").loss(Batch(None), student, teacher)
    assert tape.gradient(loss, teacher.embedding) is None


def test_outputs_of_a_graph_with_unknown_batch(pair):
    method = methods.make("rkd")

    @tf.function(input_signature=[tf.TensorSpec((None, d)) for d in (3, 4)])
    def traced(ours, theirs):
        zeros = tf.zeros((tf.shape(ours)[0], 4))
        return method.loss(Batch(None), Outputs(zeros, ours), Outputs(zeros, theirs))

    ours, theirs = (tf.constant(z["embedding"]) for z in pair)
    plain = method.loss(Batch(None), *map(methods.outputs, pair))
    np.testing.assert_allclose(traced(ours, theirs), plain, rtol=1e-5)
    assert traced(ours[:2], theirs[:2]).shape == (2,)
