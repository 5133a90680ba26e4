"""Trainings of a small network in NumPy, to try a rule for learning rates on."""

import numpy as np

CLASSES, WIDTH, HIDDEN, BATCH = 5, 32, 32, 32
GRID = np.geomspace(1e-4, 1, 17)


def clusters(seed, wrong=0.0, count=300):
    """Gaussian clusters, wide along few axes, some labels wrong: (x, one-hot y) twice."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(CLASSES, WIDTH))
    sizes = np.geomspace(1, 0.05, WIDTH)

    def some(n):
        y = draw.integers(CLASSES, size=n)
        x = (centres[y] + 3 * draw.normal(size=(n, WIDTH))) * sizes
        y = np.where(draw.random(n) < wrong, draw.integers(CLASSES, size=n), y)
        return x, np.eye(CLASSES)[y]

    return some(count), some(2000)


def updates(kind):
    """A function (gradient, rate) -> change of a weight, with a memory."""
    mean = square = 0.0
    step = 0

    def update(gradient, rate):
        nonlocal mean, square, step
        step += 1
        if kind == "sgd":
            mean = 0.9 * mean + gradient
            return -rate * mean
        if kind == "lion":
            sign = np.sign(0.9 * mean + 0.1 * gradient)
            mean = 0.99 * mean + 0.01 * gradient
            return -rate * sign
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        size = np.sqrt(square / (1 - 0.999**step)) + 1e-7
        return -rate * mean / (1 - 0.9**step) / size

    return update


def trained(data, kind, rates, seed):
    """Losses of the steps with those rates, up to the first that is not finite, and the weights."""
    (x, y), draw = data, np.random.default_rng(seed)
    weights = [draw.normal(size=(WIDTH, HIDDEN)) * np.sqrt(2 / WIDTH), np.zeros((HIDDEN, CLASSES))]
    rules = [updates(kind) for _ in weights]
    epochs = 1 + len(rates) * BATCH // len(x)
    order = np.concatenate([draw.permutation(len(x)) for _ in range(epochs)])
    losses = []
    for step, rate in enumerate(rates):
        rows = order[step * BATCH : (step + 1) * BATCH]
        with np.errstate(all="ignore"):
            hidden = np.maximum(x[rows] @ weights[0], 0)
            logits = hidden @ weights[1]
            powers = np.exp(logits - logits.max(1, keepdims=True))
            shares = powers / powers.sum(1, keepdims=True)
            losses.append(-np.mean(np.log(np.maximum((shares * y[rows]).sum(1), 1e-30))))
            error = (shares - y[rows]) / BATCH
            gradients = [x[rows].T @ ((error @ weights[1].T) * (hidden > 0)), hidden.T @ error]
            if not all(np.isfinite(g).all() for g in gradients):
                losses[-1] = np.nan
                break
            weights = [w + rule(g, rate)
                       for w, rule, g in zip(weights, rules, gradients, strict=True)]  # fmt: skip
    return losses, weights


def accuracy(train, test, kind, rate, seed, steps=150):
    """Test accuracy after a training whose rate falls along half a cosine."""
    rates = rate * 0.5 * (1 + np.cos(np.pi * np.arange(steps) / steps))
    _, (first, second) = trained(train, kind, rates, seed)
    with np.errstate(all="ignore"):
        logits = np.maximum(test[0] @ first, 0) @ second
    right = logits.argmax(1) == test[1].argmax(1)
    return float(np.mean(right)) if np.isfinite(logits).all() else 0.0
