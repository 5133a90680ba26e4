"""`tl bench`: what a configuration costs on this machine, beside plain Keras, round by round.

Both arms of a part run in turn in the same process and in changing order; shown are medians of CPU
time (all threads) and wall time an image. Wall time ends with the last batch: the release of a
tf.data iterator, which autotuning may delay by seconds, is timed apart.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.commands.bench_arms import PARTS, Subject, Work, rows_of_files
from tlcli.config import registry
from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob, train_job
from tlcli.config.settings import Bench
from tlcli.contracts.data import TRAIN
from tlcli.distill.attach import attach
from tlcli.runs import output
from tlcli.system import console, files
from tlcli.training import auto, auto_backbone, batch_size
from tlcli.training.build import pieces_of
from tlcli.training.data import NO_SPLIT

WARM_UPS = 2


@dataclass
class Cost:
    """One round of one arm.

    Attributes:
        cpu: Seconds of all threads, release included.
        wall: Seconds to the last result.
        release: Seconds that letting go of the pipeline took.
    """

    cpu: float
    wall: float
    release: float


def run(checked: Checked[Bench, TrainJob]) -> int:
    """Measure as configured and print the table; returns the exit code."""
    console.start_log(None)
    settings = checked.settings
    place = output.place(settings.output, settings.overwrite) if settings.output else None
    job = auto_backbone.resolved(checked.job, checked.typed)
    if job.settings.auto:
        job = auto.resolved(job, checked.typed)
    subject = prepare(job, settings.images)
    results = []
    for part in settings.parts:
        arms = PARTS[part](subject)
        if not arms:
            console.say(f"{part:<10} left out: the configuration has no teacher")
            continue
        of_files = part in ("decode", "predict")
        count = len(rows_of_files(subject) if of_files else subject.pieces.manifest.rows(TRAIN))
        with console.Stage(f"timing {part}"):
            results.append(compared(part, arms, settings.rounds, count))
    sys.stdout.write(table(results))
    if place is not None:
        found = {"machine": machine(subject), "parts": results}
        output.write(place, files.as_json(found).encode())
    return 0


def prepare(job: TrainJob, images: int) -> Subject:
    """The training's parts over a few of its training images; all weights are trained.

    The figures would not be comparable with strategies that train a part alone.
    """
    fixed = {"cache": "ram", "epochs": 1000.0, "accumulation_steps": 1}
    chosen = (("finetune", "full"), ("augmentation", "none"))
    groups = {group: registry.defaults(group, option) for group, option in chosen}
    job = train_job({**job.config, **groups, **fixed})
    pieces = pieces_of(batch_size.resolved(job))
    lesson = attach(pieces)
    manifest = pieces.manifest
    splits = np.full(len(manifest.splits), NO_SPLIT, np.int8)
    splits[manifest.rows(TRAIN)[:images]] = TRAIN
    pieces = pieces.with_data(replace(manifest, splits=splits))
    return Subject(replace(pieces, batch_norm="train"), lesson)


def measured(work: Work) -> Cost:
    """What one round costs."""
    cpu, wall = time.process_time(), time.perf_counter()
    kept = work()
    done = time.perf_counter()
    del kept
    return Cost(time.process_time() - cpu, done - wall, time.perf_counter() - done)


def compared(part: str, arms: Mapping[str, Work], rounds: int, images: int) -> dict[str, Any]:
    """All rounds of a part and their medians an image, in milliseconds."""
    for work in arms.values():
        for _ in range(WARM_UPS):
            measured(work)
    found: dict[str, list[Cost]] = {name: [] for name in arms}
    for index in range(rounds):
        for name in list(arms)[:: -1 if index % 2 else 1]:
            found[name].append(measured(arms[name]))
    medians = {
        name: {
            f"{key}_ms": 1000 * statistics.median(getattr(c, key) for c in costs) / images
            for key in ("cpu", "wall")
        }
        | {"release_ms": 1000 * statistics.median(c.release for c in costs)}
        for name, costs in found.items()
    }
    plain = medians["keras"]
    ratios = {
        name: {key: plain[f"{key}_ms"] / values[f"{key}_ms"] for key in ("cpu", "wall")}
        for name, values in medians.items()
    }
    rows = {name: [asdict(cost) for cost in costs] for name, costs in found.items()}
    return {"part": part, "images": images, "medians": medians, "ratios": ratios, "rounds": rows}


def table(results: list[dict[str, Any]]) -> str:
    """All parts for a person: per image, and how many times plain Keras takes as long."""
    lines = [
        f"{'part':<9}{'arm':<20}{'images/s':>9}{'CPU ms':>9}{'CPU':>8}{'wall':>8}{'release ms':>12}"
    ]
    for result in results:
        for name, values in result["medians"].items():
            ratio = result["ratios"][name]
            lines.append(
                f"{result['part']:<9}{name:<20}{1000 / values['wall_ms']:>9.1f}"
                f"{values['cpu_ms']:>9.2f}{ratio['cpu']:>7.2f}x{ratio['wall']:>7.2f}x"
                f"{values['release_ms']:>12.1f}"
            )
    return "\n".join(lines) + "\n"


def machine(subject: Subject) -> dict[str, Any]:
    """What the figures belong to."""
    job = subject.pieces.job
    return {
        "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "gpus": len(tf.config.list_logical_devices("GPU")),
        "precision": keras.config.dtype_policy().name, "python": platform.python_version(),
        "tensorflow": tf.__version__, "keras": keras.__version__,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
        "pixels": subject.lesson.student.resize.size,
        "batch_size": int(job.settings.batch_size),
        "backbone": job.config["backbone"]["name"],
    }  # fmt: skip
