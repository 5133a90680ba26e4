"""What the page of a large run costs: seconds, CPU, size and memory, with 1,000 classes.

    python scripts/bench/report.py RUN --classes 1000 --images 50000

RUN is any finished run; its predictions are replaced by made ones, three
of four of them right. The galleries have no pictures.
"""

import argparse
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tlcli.report import single, values  # noqa: E402
from tlcli.runs.predictions import Predictions  # noqa: E402


def predictions(classes: int, images: int) -> Predictions:
    """Predictions on test images of which three of four are right, confused by neighbours."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, images).astype(np.int32)
    guesses = np.where(
        rng.random(images) < 0.75, labels, (labels + rng.integers(1, 9, images)) % classes
    )
    logits = rng.normal(0, 1, (images, classes)).astype(np.float32)
    logits[np.arange(images), guesses] += 8
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return Predictions(
        np.array([f"test/{label:04d}/{i:06d}.jpg" for i, label in enumerate(labels)]),
        np.full(images, "test"), labels, logits, shares,
        np.array([f"class number {i}" for i in range(classes)]),
    )  # fmt: skip


def main() -> None:
    """Make the page and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    run = values.read(given.run)
    made = predictions(given.classes, given.images)
    facts = replace(run.facts, class_names=tuple(map(str, made.class_names)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    page = single.page(replace(run, predictions=made, facts=facts, teacher=None), None, 8, [])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    size = len(page.encode("utf-8", "backslashreplace"))
    print(f"{given.classes:,} classes, {given.images:,} images: {wall:.1f} s, CPU {cpu:.1f} s, "
          f"{size / 1e6:.2f} MB, {more / 1024:.0f} MiB above the predictions")  # fmt: skip
    if given.output:
        given.output.write_text(page, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main()
