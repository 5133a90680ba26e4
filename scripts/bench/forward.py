"""What folding and the fused kernel save: a frozen forward pass, and a full training step.

Both arms of a comparison run in turn, round by round, on tensors in memory. Printed are medians
of process CPU time (all threads) and wall time per image, and their ratio; `--json FILE` keeps
every round.

The ratios depend on TensorFlow's oneDNN kernels, which it leaves off on some processors; compare
`TF_ENABLE_ONEDNN_OPTS=1` and `=0`.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from tlcli.models.fold import folded
from tlcli.models.fused_batch_norm import use_fused

# Name, images per batch of the forward pass and of the training step, calls per round of each.
CASES = {
    "mobilenet": (32, 32, 6, 3),
    "resnet50": (16, 8, 2, 1),
}


def network(case: str, image_size: int) -> keras.Model:
    """The backbone with pooling and random weights."""
    keras.utils.set_random_seed(0)
    options = {
        "weights": None,
        "include_top": False,
        "pooling": "avg",
        "input_shape": (image_size, image_size, 3),
    }
    if case == "mobilenet":
        return keras.applications.MobileNet(alpha=0.25, **options)
    return keras.applications.ResNet50(**options)


def forward(model: keras.Model, images: tf.Tensor) -> Callable[[], None]:
    """One inference call, waited for."""
    run = tf.function(lambda x: model(x, training=False), jit_compile=False)
    return lambda: run(images).numpy()


def train_step(backbone: keras.Model, images: tf.Tensor) -> Callable[[], None]:
    """One step of all weights with SGD and a head of ten classes."""
    model = keras.Sequential([backbone, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), loss, jit_compile=False)
    labels = np.arange(len(images)) % 10
    step = tf.function(lambda x, y: model.train_step((x, y)), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return lambda: keras.tree.map_structure(float, step(images, labels))


def rounds(
    arms: dict[str, Callable[[], None]], count: int, calls: int, images: int
) -> dict[str, list[dict[str, float]]]:
    """Milliseconds per image of each arm in each round, arms in turn and in changing order."""
    for arm in arms.values():
        arm()
        arm()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in arms}
    for i in range(count):
        for name in list(arms)[:: -1 if i % 2 else 1]:
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(calls):
                arms[name]()
            scale = 1000 / (calls * images)
            found[name].append(
                {
                    "cpu_ms": (time.process_time() - cpu) * scale,
                    "wall_ms": (time.perf_counter() - wall) * scale,
                }
            )
    return found


def median(values: list[dict[str, float]], key: str) -> float:
    """Median of one measure over the rounds."""
    return statistics.median(value[key] for value in values)


def compare(name: str, found: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    """Print a comparison of two arms and return it with all rounds."""
    (slow, a), (fast, b) = found.items()
    ratios = {key: median(a, key) / median(b, key) for key in ("cpu_ms", "wall_ms")}
    for arm, values in found.items():
        cpu, wall = median(values, "cpu_ms"), median(values, "wall_ms")
        least = min(value["cpu_ms"] for value in values)
        print(f"{name:<20} {arm:<8} {cpu:>9.2f} {least:>9.2f} {wall:>9.2f}")
    print(f"{name:<20} {slow}/{fast}: CPU {ratios['cpu_ms']:.2f}x, wall {ratios['wall_ms']:.2f}x")
    return {"comparison": name, "ratios": ratios, "rounds": found}


def main() -> None:
    """Measure every case asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    print(f"{'ms per image':<29} {'CPU':>9} {'least':>9} {'wall':>9}")
    for case in options.cases:
        size, (batch, train_batch, calls, train_calls) = options.image_size, CASES[case]
        images = tf.random.stateless_normal((batch, size, size, 3), seed=(0, 0))
        model = network(case, size)
        arms = {"plain": forward(model, images), "folded": forward(folded(model), images)}
        found = rounds(arms, options.rounds, calls, batch)
        results.append(compare(f"{case} forward", found))
        plain, fused = network(case, size), network(case, size)
        use_fused(fused)
        images = images[:train_batch]
        arms = {"plain": train_step(plain, images), "fused": train_step(fused, images)}
        found = rounds(arms, options.rounds, train_calls, train_batch)
        results.append(compare(f"{case} train step", found))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
