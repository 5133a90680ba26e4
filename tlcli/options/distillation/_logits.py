"""Arithmetic on logits that several methods share; all float32, in log space."""

from typing import Any

from tlcli.lazy import Tensor, ops

# A student whose head starts at zero says the same of all classes; divided by that deviation, its
# first gradient is 1e7 times those that follow, and Adam's moments need 1,000 steps to forget it.
LEAST_SPREAD = 0.1


def standardised(logits: Tensor, least: Tensor = 1e-12) -> Tensor:
    """Each row to mean 0 and standard deviation 1 (Sun et al., CVPR 2024, arXiv:2403.01427).

    The deviation is the unbiased one, and 1e-7 is added to it.

    Args:
        logits: float32 (batch, classes).
        least: What a row's deviation is taken to be at least, float32 (batch, 1) or a number.
    """
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    return centred / (1e-7 + ops.maximum(deviation(logits), least))


def deviation(logits: Tensor) -> Tensor:
    """Unbiased standard deviation of each row, float32 (batch, 1), with a finite gradient at 0."""
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    variance = ops.sum(ops.square(centred), axis=-1, keepdims=True) / (logits.shape[-1] - 1)
    return ops.sqrt(ops.maximum(variance, 1e-24))


def logit_pair(student: Any, teacher: Any, standardise: bool) -> tuple[Tensor, Tensor]:
    """Logits of both models' outputs, standardised or not.

    A student's row is taken to spread a tenth as far as the teacher's at least.
    """
    if standardise:
        least = LEAST_SPREAD * deviation(teacher.logits)
        return standardised(student.logits, least), standardised(teacher.logits)
    return student.logits, teacher.logits


def soft_divergence(student: Tensor, teacher: Tensor, temperature: Tensor) -> Tensor:
    """T² KL(teacher ‖ student) of softmax at a temperature, in nats, float32 (batch,)."""
    log_p = ops.log_softmax(teacher / temperature)
    p = ops.exp(log_p)
    direct = ops.sum(p * (log_p - ops.log_softmax(student / temperature)), axis=-1)
    gap = (student - teacher) / temperature
    gap = gap - ops.sum(p * gap, axis=-1, keepdims=True)
    # Near models cancel first-order terms, which float32 shows as noise times T². With the gap's
    # mean under p at 0, KL is exactly log Σ p exp(gap), a sum of terms that are not negative.
    close = ops.max(ops.abs(gap), axis=-1, keepdims=True) < 1.0
    exact = ops.log1p(ops.sum(p * _beyond_linear(ops.where(close, gap, 0.0)), axis=-1))
    # Gradients shrink as 1/T^2, so T^2 keeps the weights comparable.
    return temperature**2 * ops.where(close[:, 0], exact, direct)


def _beyond_linear(x: Tensor) -> Tensor:
    """exp(x) - 1 - x without cancellation, for abs(x) below 1."""
    small = ops.abs(x) < 0.05
    series = x * x * (0.5 + x * (1 / 6 + x * (1 / 24 + x / 120)))
    return ops.where(small, series, ops.expm1(x) - x)


def bernoulli_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² times the sum over classes of KL between sigmoids, in nats, float32 (batch,)."""
    student, teacher = student / temperature, teacher / temperature
    yes = ops.log_sigmoid(teacher) - ops.log_sigmoid(student)
    no = ops.log_sigmoid(-teacher) - ops.log_sigmoid(-student)
    divergence = ops.sigmoid(teacher) * yes + ops.sigmoid(-teacher) * no
    return temperature**2 * ops.sum(divergence, axis=-1)


def _is_top(log_p: Tensor) -> Tensor:
    """True at the most probable class of each row, bool (batch, classes)."""
    top = ops.one_hot(ops.argmax(log_p, axis=-1), log_p.shape[-1], dtype="float32")
    return top > 0.5


def _without_top(log_p: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    """The shares over the second largest, 0 at the top, (batch, classes); log of that divisor."""
    lowest = ops.min(log_p, axis=-1, keepdims=True)
    second = ops.stop_gradient(ops.max(ops.where(top, lowest, log_p), axis=-1, keepdims=True))
    return ops.where(top, 0.0, ops.exp(ops.where(top, 0.0, log_p - second))), second


def log_complement(log_p: Tensor) -> Tensor:
    """log(1 - p_c) of each class, exact also where p_c rounds to 1; float32 (batch, classes).

    Args:
        log_p: Log-probabilities (batch, classes), at least 2 classes.
    """
    top = _is_top(log_p)
    # Only the most probable class can be above 1/2, where 1 - p loses its digits.
    small = ops.log1p(-ops.where(top, 0.0, ops.exp(log_p)))
    rest, second = _without_top(log_p, top)
    return ops.where(top, second + ops.log(ops.sum(rest, axis=-1, keepdims=True)), small)


def mean_outside(log_p: Tensor, values: Tensor) -> Tensor:
    """Mean of `values` under p without class c, for each c; float32 (batch, classes).

    That is Σ_{j≠c} p_j values_j / Σ_{j≠c} p_j.
    """
    top = _is_top(log_p)
    p = ops.exp(log_p)
    mass = ops.sum(p, axis=-1, keepdims=True) - p
    terms = ops.sum(p * values, axis=-1, keepdims=True) - p * values
    rest, _ = _without_top(log_p, top)
    among_rest = ops.sum(rest * values, axis=-1, keepdims=True)
    among_rest = among_rest / ops.sum(rest, axis=-1, keepdims=True)
    return ops.where(top, among_rest, terms / ops.where(top, 1.0, mass))


def weighted_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of each image with one-hot or soft labels, in nats, float32 (batch,)."""
    return -ops.sum(labels * ops.log_softmax(logits), axis=-1)
