"""Builders and the comparison of a method with a numpy float64 oracle."""

import json

import numpy as np
import tensorflow as tf
from omegaconf import OmegaConf

from tlcli.config import registry
from tlcli.contracts.distillation import Batch, Outputs, Shapes


def make(name, **overrides):
    """A method with the values of its YAML, weight 1 and no schedule unless overridden."""
    path = registry.config_root() / "distillation" / f"{name}.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    plain = {"soft_weight": 1.0, "warmup_epochs": 0.0}
    # Through text, as values come from YAML.
    overrides = json.loads(json.dumps(overrides))
    return registry.build("distillation", values | plain | overrides)


def one_hot(labels, classes):
    return np.eye(classes, dtype="float32")[list(labels)]


def outputs(signals, dtype="float32"):
    """Outputs of arrays; a model without logits of its own gets zeros."""
    signals = dict(signals)
    head = signals.pop("head", None)
    first = next(iter(signals.values()))
    count = len(first[0] if isinstance(first, (list, tuple)) else first)
    tensors = {"logits": tf.zeros((count, 4), dtype)}
    for key, value in signals.items():
        many = isinstance(value, (list, tuple))
        cast = [tf.cast(tf.constant(v), dtype) for v in (value if many else [value])]
        tensors[key] = tuple(cast) if many else cast[0]
    return Outputs(**tensors, head=head)


def shapes(student, teacher, **more):
    """Shapes of two dictionaries of signals."""

    def maps(signals):
        found = signals.get("features") or signals.get("preactivations") or ()
        return tuple(tuple(f.shape[1:]) for f in found)

    def dim(signals):
        return signals["embedding"].shape[1] if "embedding" in signals else 0

    return Shapes(
        **{
            "classes": 4,
            "samples": 8,
            "student_features": maps(student),
            "teacher_features": maps(teacher),
            "student_embedding": dim(student),
            "teacher_embedding": dim(teacher),
            **more,
        }
    )


def gradient(method, batch, student, teacher, state, key):
    """Gradient of the mean loss with respect to one signal of the student, or its list."""
    made = outputs(student)
    watched = getattr(made, key)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss = method.loss(batch, made, outputs(teacher), state)
        mean = tf.reduce_mean(loss)
    return tape.gradient(mean, watched)


def numeric_gradient(function, value, step=1e-5, most=40):
    """Central differences of a scalar function of one array, NaN where left out.

    Args:
        most: Elements that are differentiated, spread at random over the array.
    """
    value = np.array(value, "float64")
    result = np.full_like(value, np.nan)
    places = np.random.default_rng(0).permutation(list(np.ndindex(value.shape)))
    for place in map(tuple, places[:most]):
        kept = value[place]
        value[place] = kept + step
        above = function(value)
        value[place] = kept - step
        below = function(value)
        value[place] = kept
        result[place] = (above - below) / (2 * step)
    return result


def as_float64(signals):
    return {
        k: [np.array(v, "float64") for v in value]
        if isinstance(value, (list, tuple))
        else (value if callable(value) else np.array(value, "float64"))
        for k, value in signals.items()
    }


def agree(method, oracle, student, teacher, key="logits", batch=None, state=None):
    """Value of each image (1e-5) and gradient of the mean (1e-3) equal those of the oracle.

    Args:
        oracle: Function of two dictionaries of float64 arrays to a value of each image.
        key: Signal of the student by which is differentiated.
    """
    batch = batch or Batch(labels=None)
    exact, theirs = as_float64(student), as_float64(teacher)
    loss = method.loss(batch, outputs(student), outputs(teacher), state)
    expected = np.asarray(oracle(exact, theirs))
    assert loss.dtype == tf.float32
    assert loss.shape == (len(outputs(student).logits),)
    expected = np.broadcast_to(expected, loss.shape)
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    found = gradient(method, batch, student, teacher, state, key)
    many = isinstance(found, (list, tuple))
    for index, one in enumerate(found if many else [found]):
        if one is None:
            continue

        def scalar(value, index=index):
            signals = dict(exact)
            if many:
                signals[key] = [*exact[key][:index], value, *exact[key][index + 1 :]]
            else:
                signals[key] = value
            return np.mean(oracle(signals, theirs))

        numbers = numeric_gradient(scalar, exact[key][index] if many else exact[key])
        known = ~np.isnan(numbers)
        scale = np.abs(numbers[known]).max()
        assert scale > 0
        found_there = one.numpy()[known]
        np.testing.assert_allclose(found_there, numbers[known], rtol=1e-3, atol=1e-3 * scale)
