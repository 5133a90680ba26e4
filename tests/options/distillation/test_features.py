"""Methods on feature maps, with their connectors, against numpy float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import NO_STATE, Batch, Outputs
from tlcli.errors import ConfigError
from tlcli.options.distillation.ofd import margins

B = 3


def maps(rng, *sizes):
    return [rng.normal(size=(B, *s)).astype("float32") for s in sizes]


@pytest.fixture
def three(rng):
    """Three stages; the teacher's channels and sizes differ from the student's."""
    student = {"features": maps(rng, (4, 4, 2), (4, 4, 3), (2, 2, 3))}
    teacher = {"features": maps(rng, (8, 8, 3), (4, 4, 3), (2, 2, 5))}
    return student, teacher


def halve(x):
    return x.reshape(len(x), x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4))


def to_smaller(s, t):
    while s.shape[1] > t.shape[1]:
        s = halve(s)
    while t.shape[1] > s.shape[1]:
        t = halve(t)
    return s, t


def grown(x, side):
    """Bilinear growth by repeated halves, from TensorFlow in float64."""
    return tf.image.resize(x, (side, side)).numpy().astype("float64") if x.shape[1] != side else x


def unit(x, axis=-1):
    return x / np.sqrt((x**2).sum(axis, keepdims=True))


def over(function, key="features"):
    """Sum of a function of two maps over their stages."""
    return lambda s, t: sum(function(*pair) for pair in zip(s[key], t[key], strict=True))


def kernel(layer):
    return layer.convolution.kernel.numpy().astype("float64")


def convolve(layer, x):
    """A 1x1 or 3x3 convolution with its offset, "same" padding."""
    weights = kernel(layer)
    reach = weights.shape[0] // 2
    padded = np.pad(x, [(0, 0), (reach, reach), (reach, reach), (0, 0)])
    total = 0
    for i in range(weights.shape[0]):
        for j in range(weights.shape[1]):
            part = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
            total = total + part @ weights[i, j]
    return total + (layer.convolution.bias.numpy() if layer.convolution.use_bias else 0)


def normed(x):
    return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)


def relu(x):
    return np.maximum(x, 0)


def attention(x):
    return unit((x**2).mean(-1).reshape(len(x), -1))


def at(s, t):
    s, t = to_smaller(s, t)
    return ((attention(s) - attention(t)) ** 2).mean(-1)


def test_at(three):
    methods.agree(methods.make("at"), over(at), *three, key="features")


def test_at_takes_absolute_values_for_an_odd_power(three):
    method = methods.make("at", power=3.0)
    student, teacher = map(methods.outputs, three)
    flipped = Outputs(student.logits, features=tuple(-f for f in student.features))
    losses = [method.loss(Batch(None), s, teacher) for s in (student, flipped)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def nst(s, t):
    s, t = (unit(x.reshape(B, -1, x.shape[-1]), axis=1) for x in to_smaller(s, t))

    def mean_kernel(a, b):
        # The plain form: every pair of channels of an image.
        products = (a[:, :, :, None] * b[:, :, None, :]).sum(1)
        return (products**2).mean((1, 2))

    return mean_kernel(s, s) + mean_kernel(t, t) - 2 * mean_kernel(s, t)


def test_nst_by_either_gram_matrix(three, rng):
    # Stages with more pixels than channels, and one of 4 pixels and 5 channels.
    methods.agree(methods.make("nst"), over(nst), *three, key="features")
    few = tuple({"features": maps(rng, (2, 2, c))} for c in (5, 6))
    methods.agree(methods.make("nst"), over(nst), *few, key="features")


def sp(s, t):
    s, t = (unit(x.reshape(B, -1) @ x.reshape(B, -1).T) for x in (s, t))
    return ((s - t) ** 2).mean(-1)


def test_sp_on_the_last_stage(three):
    method = methods.make("sp")
    methods.agree(method, lambda s, t: sp(s["features"][-1], t["features"][-1]), *three, "features")


def test_sp_rows_have_euclidean_length_one():
    # Rows (4, 2), (2, 5): lengths √20 and √29. A sum of absolute values would divide by 6 and 7.
    s = np.array([[2.0, 0.0], [1.0, 2.0]], "float32").reshape(2, 1, 1, 2)
    t = np.array([[1.0, 0.0], [0.0, 1.0]], "float32").reshape(2, 1, 1, 2)
    loss = methods.make("sp").loss(
        Batch(None), methods.outputs({"features": [s]}), methods.outputs({"features": [t]})
    )
    a, b = math.sqrt(20), math.sqrt(29)
    expected = [((4 / a - 1) ** 2 + (2 / a) ** 2) / 2, ((2 / b) ** 2 + (5 / b - 1) ** 2) / 2]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def with_state(name, student, teacher, **overrides):
    method = methods.make(name, **overrides)
    shapes = methods.shapes(student, teacher)
    method.checked(shapes)
    return method, method.state(shapes)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_fitnet_regresses_through_convolution_and_batch_norm(rng, activation):
    student = {"features": maps(rng, (2, 2, 3), (2, 2, 2))}
    teacher = {"features": maps(rng, (4, 4, 4), (2, 2, 2))}
    method, state = with_state("fitnet", student, teacher, activation=activation)

    def oracle(s, t):
        out = normed(convolve(state.part(0).block, s["features"][0]))
        out = relu(out) if activation == "relu" else out
        # Half-pixel bilinear growth from 2 to 4 pixels.
        weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
        out = np.einsum("yh,xw,bhwc->byxc", weights, weights, out)
        return ((out - t["features"][0]) ** 2).mean((1, 2, 3))

    methods.agree(method, oracle, student, teacher, "features", state=state)


def vid_of(part):
    def oracle(s, t):
        s, t = to_smaller(s, t)
        for index, block in enumerate(part.blocks):
            s = convolve(block, s)
            s = relu(s) if index < 2 else s
        variance = np.log1p(np.exp(part.scale.numpy().astype("float64"))) + 1e-5
        return 0.5 * ((s - t) ** 2 / variance + np.log(variance)).mean((1, 2, 3))

    return oracle


def test_vid(three):
    method, state = with_state("vid", *three)

    def oracle(s, t):
        pairs = zip(s["features"], t["features"], strict=True)
        return sum(vid_of(state.part(i))(*pair) for i, pair in enumerate(pairs))

    np.testing.assert_allclose(state.part(0).variance(), [5.0] * 3, rtol=1e-6)
    methods.agree(method, oracle, *three, "features", state=state)


def test_vid_variances_are_trained(three):
    method, state = with_state("vid", *three)
    student, teacher = map(methods.outputs, three)
    with tf.GradientTape() as tape:
        loss = method.loss(Batch(None), student, teacher, state)
    scales = [state.part(i).scale for i in range(3)]
    paths = {v.path for v in state.trainable_variables}
    assert {v.path for v in scales} <= paths
    for found in tape.gradient(loss, [v.value for v in scales]):
        assert np.abs(found).min() > 0


def fsp_oracle(s, t, connect):
    ours = [connect(i, x) for i, x in enumerate(s["features"])]

    def flow(a, b):
        a, b = to_smaller(a, b)
        return np.einsum("bhwc,bhwd->bcd", a, b) / a[0, ..., 0].size

    total = 0
    for i in range(len(ours) - 1):
        difference = flow(ours[i], ours[i + 1]) - flow(*t["features"][i : i + 2])
        total = total + (difference**2).mean((1, 2))
    return total


def test_fsp_connects_channels_that_differ(three):
    method, state = with_state("fsp", *three)
    assert state.part(1) is None

    def oracle(s, t):
        return fsp_oracle(s, t, lambda i, x: x if i == 1 else convolve(state.part(i), x))

    methods.agree(method, oracle, *three, "features", state=state)


def test_fsp_of_equal_channels_has_no_weights(rng):
    student, teacher = ({"features": maps(rng, (4, 4, 2), (2, 2, 3))} for _ in range(2))
    method, state = with_state("fsp", student, teacher)
    assert state is NO_STATE
    methods.agree(
        method, lambda s, t: fsp_oracle(s, t, lambda i, x: x), student, teacher, "features"
    )


def test_fsp_needs_two_stages(rng):
    student = {"features": maps(rng, (2, 2, 3))}
    with pytest.raises(ConfigError, match=r"^distillation\.stages: .*1 map, 2 are needed"):
        methods.make("fsp").checked(methods.shapes(student, student))


def margin_of(x):
    return margins(x.mean((0, 1, 2)), x.std((0, 1, 2))).astype("float64")


@pytest.mark.parametrize("known", [False, True])
def test_ofd(rng, known):
    student = {"preactivations": maps(rng, (4, 4, 2), (2, 2, 3))}
    teacher = {"preactivations": maps(rng, (4, 4, 3), (2, 2, 2))}
    norms = [(rng.normal(size=c), rng.normal(size=c)) for c in (3, 2)] if known else ()
    method = methods.make("ofd")
    state = method.state(methods.shapes(student, teacher, teacher_norms=tuple(norms)))

    def oracle(s, t):
        total = 0
        pairs = zip(s["preactivations"], t["preactivations"], strict=True)
        for i, (a, b) in enumerate(pairs):
            target = np.maximum(b, margins(*norms[i]) if known else margin_of(b))
            a = normed(convolve(state.part(i).block, a))
            ignored = (a <= target) & (target <= 0)
            squares = np.where(ignored, 0, (a - target) ** 2)
            total = total + squares.sum((1, 2, 3)) * [0.5, 1.0][i]
        return total

    methods.agree(method, oracle, student, teacher, "preactivations", state=state)


def test_ofd_margin_is_the_mean_of_negative_values(rng):
    values = rng.normal(0.5, 2.0, size=1_000_000)
    np.testing.assert_allclose(margins([0.5], [-2.0]), [values[values < 0].mean()], rtol=3e-3)
    np.testing.assert_allclose(margins([9.0], [2.0]), [-6.0], rtol=1e-6)


def scales_distance(a, b):
    total, weights, side = ((a - b) ** 2).mean((1, 2, 3)), 1.0, a.shape[1]
    for size, weight in ((4, 1 / 2), (2, 1 / 4), (1, 1 / 8)):
        if size < side:
            steps = side // size
            difference = (a - b).reshape(len(a), size, steps, size, steps, -1).mean((2, 4))
            position = {4: 1, 2: 2, 1: 3}[size] - sum(s >= side for s in (4, 2, 1))
            weight = 2.0**-position
            total = total + weight * (difference**2).mean((1, 2, 3))
            weights += weight
    return total / weights


@pytest.mark.parametrize("tap", ["features", "preactivations"])
def test_review_kd(rng, tap):
    student = {tap: maps(rng, (8, 8, 2), (4, 4, 3)), "embedding": _vectors(rng, 3)}
    teacher = {tap: maps(rng, (8, 8, 3), (2, 2, 4)), "embedding": _vectors(rng, 5)}
    method, state = with_state("review_kd", student, teacher, tap=tap)
    assert method.needs == {tap, "embedding"}

    def oracle(s, t):
        inputs = [s["embedding"][:, None, None], *reversed(s[tap])]
        targets = [t["embedding"][:, None, None], *reversed(t[tap])]
        deeper, total = None, 0
        for i, (x, target) in enumerate(zip(inputs, targets, strict=True)):
            x = normed(convolve(state.part(i).inward, x))
            if deeper is not None:
                repeat = x.shape[1] // deeper.shape[1]
                deeper = deeper.repeat(repeat, 1).repeat(repeat, 2)
                both = np.concatenate([x, deeper], -1)
                share = 1 / (1 + np.exp(-convolve(state.part(i).attention, both)))
                x = x * share[..., :1] + deeper * share[..., 1:]
            step = x.shape[1] // target.shape[1]
            result = normed(convolve(state.part(i).outward, x[:, ::step, ::step]))
            total = total + scales_distance(result, target)
            deeper = x
        return total

    methods.agree(method, oracle, student, teacher, tap, state=state)


def _vectors(rng, size, count=B):
    return rng.normal(size=(count, size)).astype("float32")


def test_srrl_reads_the_projection_through_the_teachers_head(rng):
    weights = rng.normal(size=(5, 4)).astype("float32")
    student = {"features": maps(rng, (2, 2, 3)), "embedding": _vectors(rng, 3)}
    teacher = {
        "logits": _vectors(rng, 4),
        "features": maps(rng, (2, 2, 5)),
        "embedding": _vectors(rng, 5),
        "head": lambda e: e @ weights,
    }
    method, state = with_state("srrl", student, teacher, feature_weight=2.0)

    def oracle(s, t):
        embedding = relu(normed(convolve(state.part(0), s["features"][0]))).mean((1, 2))
        features = ((embedding - t["embedding"]) ** 2).mean(-1)
        return 2 * features + ((embedding @ weights - t["logits"]) ** 2).mean(-1)

    methods.agree(method, oracle, student, teacher, "features", state=state)


def test_simkd_compares_maps_before_pooling(rng):
    student, teacher = {"head_map": maps(rng, (4, 4, 3))[0]}, {"head_map": maps(rng, (2, 2, 3))[0]}
    method = methods.make("simkd")

    def oracle(s, t):
        return ((halve(s["head_map"]) - t["head_map"]) ** 2).mean((1, 2, 3))

    methods.agree(method, oracle, student, teacher, "head_map")
    assert method.replaces_head
    assert method.projector == {"factor": 2, "activation": "relu"}
    same = method.loss(Batch(None), methods.outputs(student), methods.outputs(student))
    np.testing.assert_array_equal(same, np.zeros(len(same)))


NAMES = ["fitnet", "at", "nst", "sp", "vid", "fsp", "ofd", "review_kd", "srrl"]


def everything(rng, count, scale=1.0):
    """All signals of a student and of a teacher."""

    def one(channels):
        sizes = [(4, 4, channels), (2, 2, channels), (2, 2, channels + 1)]
        found = [(scale * rng.normal(size=(count, *s))).astype("float32") for s in sizes]
        return {
            "logits": _vectors(rng, 4, count),
            "embedding": scale * _vectors(rng, channels + 1, count),
            "features": found,
            "preactivations": found,
        }

    student, teacher = one(2), one(3)
    weights = tf.constant(_vectors(rng, 4, 4))
    teacher["head"] = lambda e: e @ tf.cast(weights, e.dtype)
    return student, teacher


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["one image", "half precision", "large", "zeros"])
def test_value_and_gradients_stay_finite(rng, name, case):
    scale = {"large": 1e3, "zeros": 0.0}.get(case, 1.0)
    student, teacher = everything(rng, 1 if case == "one image" else 4, scale)
    method, state = with_state(name, student, teacher)
    dtype = "float16" if case == "half precision" else "float32"
    ours, theirs = methods.outputs(student, dtype), methods.outputs(teacher, dtype)
    weights = [v.value for v in state.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([ours.features, ours.preactivations])
        loss = method.loss(Batch(None), ours, theirs, state)
    assert loss.dtype == tf.float32
    assert np.isfinite(loss).all()
    found = tape.gradient(loss, [*ours.features, *ours.preactivations, *weights])
    assert any(g is not None for g in found)
    assert all(np.isfinite(g).all() for g in found if g is not None)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("at", "nst", "sp")])
def test_weights_exist_at_once_are_equal_each_time_and_all_get_a_gradient(rng, name):
    student, teacher = everything(rng, 4)
    method, state = with_state(name, student, teacher)
    _, again = with_state(name, student, teacher)
    assert len(state.weights) == len(again.weights) > 0
    for one, other in zip(state.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    values = [v.value for v in state.trainable_variables]
    with tf.GradientTape() as tape:
        loss = method.loss(Batch(None), methods.outputs(student), methods.outputs(teacher), state)
    assert all(g is not None for g in tape.gradient(loss, values))
    assert len(state.weights) == len(again.weights)


@pytest.mark.parametrize("name", ["at", "nst", "sp"])
def test_a_student_equal_to_its_teacher_has_no_loss(three, name):
    same = methods.outputs(three[0])
    loss = methods.make(name).loss(Batch(None), same, same)
    np.testing.assert_allclose(loss, np.zeros(B), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_methods_run_in_a_compiled_function(rng, name):
    student, teacher = everything(rng, 3)
    method, state = with_state(name, student, teacher)
    ours, theirs = methods.outputs(student), methods.outputs(teacher)

    @tf.function(jit_compile=True)
    def compiled(*features):
        replaced = Outputs(ours.logits, ours.embedding, features, features)
        return method.loss(Batch(None), replaced, theirs, state)

    plain = method.loss(Batch(None), ours, theirs, state)
    np.testing.assert_allclose(compiled(*ours.features), plain, rtol=1e-4, atol=1e-5)
