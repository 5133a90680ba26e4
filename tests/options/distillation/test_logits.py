"""Methods on logits against numpy float64."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import methods
from tlcli.contracts.distillation import NO_STATE, Batch, Outputs, Shapes
from tlcli.errors import ConfigError

LABELS = [0, 3, 1, 1, 2]


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def kl(p, q):
    return np.sum(p * (np.log(p) - np.log(q)), axis=-1)


def softmax(z):
    return np.exp(log_softmax(z))


def standardise(z):
    return (z - z.mean(-1, keepdims=True)) / (1e-7 + z.std(-1, ddof=1, keepdims=True))


def kd(s, t, temperature):
    return temperature**2 * kl(softmax(t / temperature), softmax(s / temperature))


def dkd_of(s, t, y, temperature, a, b):
    """Published term of one image with target y."""
    p, q = softmax(t / temperature), softmax(s / temperature)
    target = p[y] * np.log(p[y] / q[y]) + (1 - p[y]) * np.log((1 - p[y]) / (1 - q[y]))
    others = np.arange(len(s)) != y
    return temperature**2 * (
        a * target + b * kl(softmax(t[others] / temperature), softmax(s[others] / temperature))
    )


def nkd_of(s, t, y, temperature, a, b):
    others = np.arange(len(s)) != y
    target = -softmax(t)[y] * log_softmax(s)[y]
    rest = -np.sum(softmax(t[others] / temperature) * log_softmax(s[others] / temperature))
    return a * target + b * temperature**2 * rest


def by_label(function, labels, *values):
    """Expectation of a one-image term over a soft label."""

    def oracle(s, t):
        s, t = s["logits"], t["logits"]
        return [
            sum(w * function(s[i], t[i], y, *values) for y, w in enumerate(row) if w)
            for i, row in enumerate(np.asarray(labels, "float64"))
        ]

    return oracle


def wsld(s, t, labels, temperature):
    ours, theirs = (-(labels * log_softmax(z)).sum(-1) for z in (s, t))
    weight = 1 - np.exp(-ours / (theirs + 1e-7))
    soft = -(softmax(t / temperature) * log_softmax(s / temperature)).sum(-1)
    return weight, temperature**2 * soft


def pearson(a, b):
    a, b = a - a.mean(), b - b.mean()
    return a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b) + 1e-8)


def dist(s, t, temperature):
    p, q = softmax(t / temperature), softmax(s / temperature)
    rows = np.array([1 - pearson(a, b) for a, b in zip(q, p, strict=True)])
    columns = 1 - np.mean([pearson(a, b) for a, b in zip(q.T, p.T, strict=True)])
    return temperature**2 * (rows + columns)


def mlkd(s, t, temperatures):
    total = 0
    for temperature in temperatures:
        p, q = softmax(t / temperature), softmax(s / temperature)
        total = total + kd(s, t, temperature)
        total = total + ((q @ q.T - p @ p.T) ** 2).sum(-1)
        total = total + ((q.T @ q - p.T @ p) ** 2).sum() / s.shape[1]
    return total


@pytest.fixture
def pair(rng):
    return tuple({"logits": rng.normal(size=(5, 4)).astype("float32") * 3} for _ in range(2))


def on(function, *values):
    return lambda s, t: function(s["logits"], t["logits"], *values)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd(pair, temperature):
    methods.agree(methods.make("kd", temperature=temperature), on(kd, temperature), *pair)


def test_kd_on_standardised_logits(pair):
    def oracle(s, t):
        return kd(standardise(s["logits"]), standardise(t["logits"]), 2.0)

    methods.agree(methods.make("kd_standardised"), oracle, *pair)


def test_standardised_kd_ignores_scale_and_offset(pair):
    method = methods.make("kd_standardised")
    student, teacher = map(methods.outputs, pair)
    moved = Outputs(5.0 * student.logits - 3.0)
    losses = [method.loss(Batch(None), s, teacher) for s in (student, moved)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_kd_of_independent_classes_is_a_sum_of_bernoulli_divergences(pair):
    def oracle(s, t):
        p, q = (1 / (1 + np.exp(-z["logits"] / 2)) for z in (t, s))
        return 4 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum(-1)

    method = methods.make("kd", temperature=2.0)
    methods.agree(method, oracle, *pair, batch=Batch(None, multi_label=True))


def test_kd_by_hand():
    # At T = 2 the teacher gives (3/4, 1/4) and the student (1/2, 1/2).
    expected = 2**2 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    method = methods.make("kd", temperature=2.0, hard_weight=0.0, soft_weight=1.0)
    loss = method.loss(Batch(None), *_logits([0.0, 0.0], [2 * math.log(3), 0.0]))
    np.testing.assert_allclose(loss, [expected], rtol=1e-5)


def test_kd_keeps_its_square_of_temperature_without_labels(pair):
    student, teacher = map(methods.outputs, pair)
    without, beside = (
        methods.make("kd", hard_weight=w, soft_weight=0.9).loss(Batch(None), student, teacher)
        for w in (0.0, 0.1)
    )
    np.testing.assert_array_equal(without, beside)


def test_kd_of_a_confident_wrong_student_is_not_clipped():
    loss = methods.make("kd", temperature=1.0).loss(Batch(None), *_logits([0.0, 30.0], [30.0, 0.0]))
    np.testing.assert_allclose(loss, [30.0], rtol=1e-5)


def test_kd_sums_over_classes():
    # Doubling every class halves the probabilities: the sum stays, a mean over classes would not.
    method = methods.make("kd", temperature=1.0)
    once = method.loss(Batch(None), *_logits([1.0, 0.0, 2.0], [0.0, 1.0, -1.0]))
    twice = method.loss(Batch(None), *_logits([1.0, 0.0, 2.0] * 2, [0.0, 1.0, -1.0] * 2))
    np.testing.assert_allclose(once, twice, rtol=1e-5)


def test_kd_at_high_temperature_is_the_square_of_centred_logits(pair):
    s, t = (z["logits"].astype("float64") for z in pair)
    difference = (s - s.mean(-1, keepdims=True)) - (t - t.mean(-1, keepdims=True))
    loss = methods.make("kd", temperature=300.0).loss(Batch(None), *map(methods.outputs, pair))
    np.testing.assert_allclose(loss, (difference**2).mean(-1) / 2, rtol=2e-2)


@pytest.mark.parametrize("standardised", [False, True])
def test_logits_mse(pair, standardised):
    def oracle(s, t):
        change = standardise if standardised else np.asarray
        return ((change(s["logits"]) - change(t["logits"])) ** 2).mean(-1)

    methods.agree(methods.make("logits_mse", standardise=standardised), oracle, *pair)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_hard(pair, smoothing):
    def oracle(s, t):
        target = (1 - smoothing) * np.eye(4)[t["logits"].argmax(-1)] + smoothing / 4
        return -(target * log_softmax(s["logits"])).sum(-1)

    methods.agree(methods.make("hard", label_smoothing=smoothing), oracle, *pair)


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_dkd(pair, rng, labels):
    y = methods.one_hot(LABELS, 4) if labels == "hard" else rng.dirichlet(np.ones(4), 5)
    y = y.astype("float32")
    oracle = by_label(dkd_of, y, 4.0, 1.0, 8.0)
    methods.agree(methods.make("dkd"), oracle, *pair, batch=Batch(y))


def test_dkd_on_standardised_logits(pair):
    y = methods.one_hot(LABELS, 4)

    def oracle(s, t):
        ready = ({"logits": standardise(z["logits"])} for z in (s, t))
        return by_label(dkd_of, y, 2.0, 1.0, 8.0)(*ready)

    method = methods.make("dkd", temperature=2.0, standardise=True)
    methods.agree(method, oracle, *pair, batch=Batch(y))


def test_dkd_with_both_weights_at_one_and_a_sure_teacher_of_another_class():
    # KD = target + (1 - p_y) others: with p_y = 0 all but exactly, DKD at weights 1 is KD.
    student, teacher = _logits([1.0, 2.0, -1.0], [-60.0, 3.0, 1.0])
    y = methods.one_hot([0], 3)
    dkd = methods.make("dkd", temperature=1.0, nontarget_weight=1.0)
    plain = methods.make("kd", temperature=1.0)
    losses = [m.loss(Batch(y), student, teacher) for m in (dkd, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_nkd(pair, rng, labels):
    y = methods.one_hot(LABELS, 4) if labels == "hard" else rng.dirichlet(np.ones(4), 5)
    y = y.astype("float32")
    oracle = by_label(nkd_of, y, 3.0, 1.0, 3.5)
    methods.agree(methods.make("nkd"), oracle, *pair, batch=Batch(y))


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_others_are_exact_when_both_models_are_sure_of_the_target(name):
    # exp(-80) of mass is left to the others, far below what 1 - p can hold in float32.
    s, t = np.array([80.0, 1.0, 0.0, -1.0]), np.array([90.0, 0.0, 2.0, 1.0])
    method = methods.make(name, temperature=1.0, target_weight=0.0, nontarget_weight=1.0)
    loss = method.loss(Batch(methods.one_hot([0], 4)), *_logits(s, t))
    p, q = softmax(t[1:]), softmax(s[1:])
    expected = kl(p, q) if name == "dkd" else -(p * np.log(q)).sum()
    np.testing.assert_allclose(loss, [expected], rtol=1e-4)


def test_wsld_and_its_weight_without_gradient(pair):
    y = methods.one_hot(LABELS, 4)
    weight = wsld(pair[0]["logits"].astype("float64"), pair[1]["logits"].astype("float64"), y, 4.0)

    def oracle(s, t):
        return weight[0] * wsld(s["logits"], t["logits"], y, 4.0)[1]

    methods.agree(methods.make("wsld"), oracle, *pair, batch=Batch(y))


def test_wsld_leaves_out_an_image_that_the_student_already_knows():
    student, teacher = _logits([50.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    loss = methods.make("wsld").loss(Batch(methods.one_hot([0], 3)), student, teacher)
    np.testing.assert_allclose(loss, [0.0], atol=1e-6)


def test_mlkd(pair):
    temperatures = (4.0, 3.0, 5.0, 2.0, 6.0)
    methods.agree(methods.make("mlkd"), on(mlkd, temperatures), *pair)


def test_mlkd_leaves_out_single_confident_images(pair):
    only = {"batch_weight": 0.0, "class_weight": 0.0, "temperatures": [2.0]}
    loss = methods.make("mlkd", confidence_quantile=0.5, **only).loss(
        Batch(None), *map(methods.outputs, pair)
    )
    s, t = (z["logits"].astype("float64") for z in pair)
    sure = softmax(t).max(-1)
    expected = np.where(sure <= np.median(sure), kd(s, t, 2.0), 0.0)
    assert (expected == 0).sum() == 2
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)


def test_mlkd_leaves_out_single_confident_classes(pair):
    only = {"batch_weight": 0.0, "instance_weight": 0.0, "temperatures": [2.0]}
    method = methods.make("mlkd", confidence_quantile=0.5, **only)
    loss = method.loss(Batch(None), *map(methods.outputs, pair))
    s, t = (z["logits"].astype("float64") for z in pair)
    sure = softmax(t).sum(0)
    p, q = softmax(t / 2), softmax(s / 2)
    kept = ((q.T @ q - p.T @ p) ** 2)[sure <= np.median(sure)]
    assert len(kept) == 2
    np.testing.assert_allclose(loss, [kept.sum() / 4] * 5, rtol=1e-5)


def test_ctkd_is_kd_at_its_learned_temperature(pair):
    method = methods.make("ctkd")
    state = method.state(Shapes(4, 8))
    temperature = 1 + 20 / (1 + math.exp(-1.0))
    assert temperature == pytest.approx(15.62, abs=0.01)
    methods.agree(method, on(kd, temperature), *pair, state=state, batch=Batch(None, epoch=3.0))


@pytest.mark.parametrize(("epoch", "factor"), [(0.0, 0.0), (5.0, 0.5), (10.0, 1.0), (40.0, 1.0)])
def test_ctkd_reverses_the_gradient_of_its_temperature(pair, epoch, factor):
    method = methods.make("ctkd")
    state = method.state(Shapes(4, 8))
    with tf.GradientTape() as tape:
        loss = method.loss(Batch(None, epoch=epoch), *map(methods.outputs, pair), state)
        mean = tf.reduce_mean(loss)
    found = tape.gradient(mean, state.theta.value)
    s, t = (z["logits"].astype("float64") for z in pair)

    def scalar(theta):
        return kd(s, t, 1 + 20 / (1 + np.exp(-theta[0]))).mean()

    numbers = methods.numeric_gradient(scalar, [1.0])
    np.testing.assert_allclose(found, -factor * numbers[0], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_dist(pair, temperature):
    methods.agree(methods.make("dist", temperature=temperature), on(dist, temperature), *pair)


def test_dist_falls_when_models_agree_more(pair):
    # The sign: a correlation itself instead of 1 - correlation would rise.
    student, teacher = map(methods.outputs, pair)
    nearer = Outputs(0.5 * (student.logits + teacher.logits))
    method = methods.make("dist")
    far, near = (np.mean(method.loss(Batch(None), s, teacher)) for s in (student, nearer))
    assert 0 <= near < far


def test_tf_kd_needs_no_teacher(rng):
    method = methods.make("tf_kd", temperature=2.0, correct_probability=0.9)
    logits = rng.normal(size=(3, 4)).astype("float32")
    y = methods.one_hot([1, 0, 3], 4)
    virtual = np.where(y > 0, 0.9, 0.1 / 3)
    loss = method.loss(Batch(y), Outputs(tf.constant(logits)), None)
    expected = kd(logits.astype("float64"), np.log(virtual), 2.0)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert method.needs_teacher is False


def test_tf_kd_as_the_authors_program_has_it(rng):
    method = methods.make("tf_kd", temperature=20.0, correct_probability=0.99, form="code")
    logits = rng.normal(size=(3, 4)).astype("float32")
    y = methods.one_hot([1, 0, 3], 4)
    # KLDivLoss()(log_softmax(student), softmax(probabilities / T)): a mean over batch and classes.
    given = np.where(y > 0, 0.99, 0.01 / 3) / 20.0
    soft = np.exp(given) / np.exp(given).sum(-1, keepdims=True)
    student = logits.astype("float64")
    log_q = student - np.log(np.exp(student).sum(-1, keepdims=True))
    expected = (soft * (np.log(soft) - log_q)).mean(-1)
    loss = method.loss(Batch(y), Outputs(tf.constant(logits)), None)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["dist", "kd_standardised"])
def test_a_head_of_zeros_has_a_first_gradient_of_ordinary_size(rng, name):
    method = methods.make(name)
    teacher = Outputs(tf.constant(rng.normal(size=(8, 5)), tf.float32))
    sizes = []
    for scale in (0.0, 1.0):
        logits = tf.constant(scale * rng.normal(size=(8, 5)), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = tf.reduce_mean(method.loss(Batch(None), Outputs(logits), teacher))
        sizes.append(np.linalg.norm(tape.gradient(loss, logits)))
    # A row of equal logits was divided by 1e-7: its gradient was 1e6 times as large.
    assert 0.1 * sizes[1] < sizes[0] < 30 * sizes[1]


STANDARDISED = ["kd", "logits_mse", "hard", "wsld", "mlkd", "ctkd", "dist"]


@pytest.mark.parametrize("name", STANDARDISED)
def test_two_standardised_classes_are_refused_for_they_have_no_gradient(name):
    methods.make(name, standardise=False).checked(Shapes(2, 4))
    method = methods.make(name, standardise=True)
    method.checked(Shapes(3, 4))
    with pytest.raises(ConfigError, match="needs 3 classes, and there are 2"):
        method.checked(Shapes(2, 4))


def test_none_adds_nothing():
    method = methods.make("none")
    np.testing.assert_array_equal(method.loss(Batch(None), Outputs(tf.ones((3, 2))), None), [0] * 3)
    assert (method.needs, method.needs_teacher) == (set(), False)
    assert method.state(Shapes(2, 3)) is NO_STATE


def _on_standardised(oracle):
    return lambda s, t: oracle(*({"logits": standardise(z["logits"])} for z in (s, t)))


def _hard(s, t):
    return -(np.eye(4)[t["logits"].argmax(-1)] * log_softmax(s["logits"])).sum(-1)


Y = np.eye(4)[LABELS]
AGREEING = {
    "hard": _on_standardised(_hard),
    "nkd": _on_standardised(by_label(nkd_of, Y, 3.0, 1.0, 3.5)),
    "dist": _on_standardised(on(dist, 4.0)),
    "ctkd": _on_standardised(on(kd, 1 + 20 / (1 + math.exp(-1.0)))),
    # The lag is that of the logits as they are, and has no gradient.
    "wsld": lambda s, t, kept=[]: _lag(s, t, kept) * (
        _on_standardised(lambda a, b: wsld(a["logits"], b["logits"], Y, 4.0)[1])(s, t)),
    # Only the divergence is standardised, the Gram matrices are not.
    "mlkd": lambda s, t: (
        mlkd(s["logits"], t["logits"], [4.0, 3.0, 5.0, 2.0, 6.0])
        + sum(
            kd(standardise(s["logits"]), standardise(t["logits"]), x)
            - kd(s["logits"], t["logits"], x)
            for x in (4.0, 3.0, 5.0, 2.0, 6.0)
        )
    ),
}  # fmt: skip


def _lag(s, t, kept):
    """The first call's weight, so that differences of the oracle do not move it."""
    if not kept:
        kept.append(wsld(s["logits"], t["logits"], Y, 4.0)[0])
    return kept[0]


@pytest.mark.parametrize("name", AGREEING)
def test_standardised_logits_go_with_other_methods(pair, name):
    method = methods.make(name, standardise=True)
    batch, state = Batch(methods.one_hot(LABELS, 4)), method.state(Shapes(4, 8))
    methods.agree(method, AGREEING[name], *pair, batch=batch, state=state)


def test_every_method_with_a_teachers_logits_can_standardise_them():
    kinds = {"kd", "logits_mse", "hard", "dkd", "nkd", "wsld", "mlkd", "ctkd", "dist"}
    assert all(methods.make(name, standardise=True).standardise for name in kinds)


def test_dkd_at_high_temperature_is_kd(pair):
    # KD = target + (1 - p_y) others, and p_y tends to 1 / 4.
    dkd = methods.make("dkd", temperature=300.0, nontarget_weight=0.75)
    student, teacher = map(methods.outputs, pair)
    found = dkd.loss(Batch(methods.one_hot(LABELS, 4)), student, teacher)
    s, t = (z["logits"].astype("float64") for z in pair)
    difference = (s - s.mean(-1, keepdims=True)) - (t - t.mean(-1, keepdims=True))
    # Float32 holds differences of logarithms to 1e-7, and T² is 9e4.
    np.testing.assert_allclose(found, (difference**2).mean(-1) / 2, rtol=1e-2, atol=1e-2)


def test_dist_at_high_temperature_correlates_logits(pair):
    method = methods.make("dist", temperature=100.0)
    found = method.loss(Batch(None), *map(methods.outputs, pair)).numpy() / 100**2
    s, t = (z["logits"].astype("float64") for z in pair)
    # Columns are those of logits less their image's mean.
    s, t = (z - z.mean(-1, keepdims=True) for z in (s, t))
    rows = np.array([1 - pearson(a, b) for a, b in zip(s, t, strict=True)])
    columns = 1 - np.mean([pearson(a, b) for a, b in zip(s.T, t.T, strict=True)])
    np.testing.assert_allclose(found, rows + columns, rtol=5e-2, atol=5e-2)


def test_independent_classes_at_high_temperature_are_squares(pair):
    batch, method = Batch(None, multi_label=True), methods.make("kd", temperature=300.0)
    found = method.loss(batch, *map(methods.outputs, pair))
    difference = pair[0]["logits"] - pair[1]["logits"]
    np.testing.assert_allclose(found, (difference**2).sum(-1) / 8, rtol=2e-2)


@pytest.mark.parametrize("name", ["wsld", "tf_kd"])
def test_a_cross_entropy_at_high_temperature_has_the_gradient_of_squares(pair, name):
    # T² CE(p, q) itself grows without end; its gradient tends to (centred s - centred t) / C.
    options = {"temperature": 300.0}
    if name == "tf_kd":
        options["correct_probability"] = 0.9
    y, student = methods.one_hot(LABELS, 4), methods.outputs(pair[0])
    with tf.GradientTape() as tape:
        tape.watch(student.logits)
        teacher = None if name == "tf_kd" else methods.outputs(pair[1])
        loss = methods.make(name, **options).loss(Batch(y), student, teacher)
    s, t = (z["logits"].astype("float64") for z in pair)
    weight = 1.0
    if name == "wsld":
        weight = wsld(s, t, Y, 300.0)[0][:, None]
    else:
        t = np.log(np.where(y > 0, 0.9, 0.1 / 3))
    s, t = (z - z.mean(-1, keepdims=True) for z in (s, t))
    expected = weight * (s - t) / 4
    np.testing.assert_allclose(tape.gradient(loss, student.logits), expected, atol=2e-2)


LARGE = {
    # A student that is sure of class 1, a teacher and a label that are sure of class 0; T is 1.
    "kd": 30.0,
    "hard": 30.0,
    "wsld": 30.0,
    "tf_kd": 30 * (0.99 + 0.005) + sum(p * math.log(p) for p in (0.99, 0.005, 0.005)),
    "dkd": 30.0 + 15.0 - math.log(2),
    "nkd": 30.0 + 15.0,
    # The teacher's row and the student's have Gram matrices of classes with one 1 each.
    "mlkd": 30.0 + 2 / 3,
    "logits_mse": 2 * 30**2 / 3,
}


@pytest.mark.parametrize("name", LARGE)
def test_large_logits_are_not_clipped(name):
    options = {
        "mlkd": {"temperatures": [1.0]}, "hard": {}, "logits_mse": {},
        "dkd": {"temperature": 1.0, "nontarget_weight": 1.0},
        "nkd": {"temperature": 1.0, "nontarget_weight": 1.0},
    }.get(name, {"temperature": 1.0})  # fmt: skip
    student, teacher = _logits([0.0, 30.0, 0.0], [30.0, 0.0, 0.0])
    loss = methods.make(name, **options).loss(Batch(methods.one_hot([0], 3)), student, teacher)
    np.testing.assert_allclose(loss, [LARGE[name]], rtol=1e-5)


EQUAL_IS_ZERO = ["kd", "kd_standardised", "logits_mse", "dkd", "mlkd", "dist", "ctkd"]
SHIFT_FREE = ["kd", "kd_standardised", "hard", "dkd", "nkd", "wsld", "mlkd", "dist", "ctkd"]
ALL = [*SHIFT_FREE, "logits_mse", "tf_kd"]


def run(name, student, teacher, labels):
    method = methods.make(name)
    state = method.state(Shapes(int(student.shape[-1]), len(student)))
    return method.loss(Batch(labels), Outputs(student), Outputs(teacher), state)


@pytest.mark.parametrize("name", EQUAL_IS_ZERO)
def test_a_student_equal_to_its_teacher_has_no_loss(pair, name):
    z = tf.constant(pair[0]["logits"])
    loss = run(name, z, z, methods.one_hot(LABELS, 4))
    np.testing.assert_allclose(loss, np.zeros(5), atol=2e-4 if name == "dkd" else 2e-5)


@pytest.mark.parametrize("name", SHIFT_FREE)
def test_an_offset_of_the_logits_changes_nothing(pair, name):
    s, t = (tf.constant(z["logits"]) for z in pair)
    y = methods.one_hot(LABELS, 4)
    plain, moved = run(name, s, t, y), run(name, s + 5.0, t - 20.0, y)
    np.testing.assert_allclose(plain, moved, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("case", ["one image", "half precision", "huge", "constant"])
def test_value_and_gradient_stay_finite(rng, name, case):
    count = 1 if case == "one image" else 4
    scale = {"huge": 1e4, "constant": 0.0}.get(case, 3.0)
    dtype = "float16" if case != "one image" else "float32"
    s, t = (tf.cast(scale * rng.normal(size=(count, 4)), dtype) for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(s)
        loss = run(name, s, t, methods.one_hot([0, 3, 1, 1][:count], 4))
    assert loss.dtype == tf.float32
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, s)).all()


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_two_classes_leave_nothing_among_the_others(name):
    with pytest.raises(
        ConfigError, match=r"^distillation\.name: .*needs 3 classes, and there are 2"
    ):
        methods.make(name).checked(Shapes(2, 10))
    methods.make(name).checked(Shapes(3, 10))


@pytest.mark.parametrize("name", ["kd", "hard", "wsld", "mlkd", "ctkd", "dist", "tf_kd"])
def test_two_classes_are_enough(rng, name):
    methods.make(name).checked(Shapes(2, 10))
    s, t = (tf.constant(rng.normal(size=(3, 2)), "float32") for _ in range(2))
    assert np.isfinite(run(name, s, t, methods.one_hot([0, 1, 1], 2))).all()


@pytest.mark.parametrize("name", ["hard", "dkd", "nkd", "wsld", "mlkd", "ctkd", "dist", "tf_kd"])
def test_independent_classes_are_refused_by_softmax_methods(name):
    with pytest.raises(ConfigError, match="needs exclusive classes"):
        methods.make(name).checked(Shapes(4, 10, multi_label=True))


def test_independent_classes_suit_kd():
    methods.make("kd").checked(Shapes(1, 10, multi_label=True))


def test_no_gradient_reaches_the_teacher(pair):
    student, teacher = (tf.constant(z["logits"]) for z in pair)
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        loss = run("kd", student, teacher, None)
    assert tape.gradient(loss, teacher) is None


@pytest.mark.parametrize(
    ("values", "epoch", "progress", "factor"),
    [
        ({"warmup_epochs": 4.0}, 1.0, 0.1, 0.25),
        ({"warmup_epochs": 4.0}, 9.0, 0.1, 1.0),
        ({"decay": "linear"}, 9.0, 0.25, 0.75),
        ({"decay": "cosine"}, 9.0, 0.5, 0.5),
        ({"decay": "cosine", "warmup_epochs": 2.0, "soft_weight": 3.0}, 1.0, 0.5, 0.75),
    ],
)
def test_schedule_of_the_term(pair, values, epoch, progress, factor):
    student, teacher = map(methods.outputs, pair)
    batch = Batch(None, epoch=tf.constant(epoch), progress=tf.constant(progress))
    plain = methods.make("kd").loss(batch, student, teacher)
    loss = methods.make("kd", **values).loss(batch, student, teacher)
    np.testing.assert_allclose(loss, factor * plain.numpy(), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("kd", "temperature", 0.0),
        ("kd", "soft_weight", -1.0),
        ("kd", "warmup_epochs", -1.0),
        ("kd", "hard_weight", math.inf),
        ("hard", "label_smoothing", 1.0),
        ("dkd", "nontarget_weight", -1.0),
        ("nkd", "temperature", -1.0),
        ("wsld", "temperature", 0.0),
        ("mlkd", "temperatures", []),
        ("mlkd", "confidence_quantile", 0.0),
        ("ctkd", "temperature_range", 0.0),
        ("dist", "inter_weight", -1.0),
        ("tf_kd", "correct_probability", 1.0),
        ("at", "power", 0.0),
        ("fsp", "stages", [-1]),
        ("rkd", "angle_weight", -1.0),
        ("cc", "embedding_size", 0),
        ("vid", "variance", 1e-6),
        ("review_kd", "middle_channels", 0),
        ("srrl", "stages", [0, 1]),
        ("simkd", "factor", 0),
        ("crd", "negatives", 0),
        ("crd", "momentum", 1.0),
    ],
)
def test_a_value_out_of_range_names_its_place(name, field, value):
    with pytest.raises(ConfigError, match=rf"^distillation\.{field}: got "):
        methods.make(name, **{field: value})


def _logits(student, teacher):
    return [Outputs(tf.constant([z], "float32")) for z in (student, teacher)]
