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
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.commands import plain_keras
from tlcli.config import registry
from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob, train_job
from tlcli.config.settings import Bench
from tlcli.contracts.data import TRAIN
from tlcli.data.arrays import ArrayImages
from tlcli.data.decoded import DecodedImages
from tlcli.data.labels import label_table
from tlcli.data.views import Views
from tlcli.distill.pieces import Run
from tlcli.evaluation.classifier import classifier
from tlcli.models import fold, frozen
from tlcli.models.student import build_student
from tlcli.runs import checkpoint
from tlcli.system import console, files
from tlcli.training import batch_size, build
from tlcli.training.data import NO_SPLIT
from tlcli.training.phase import PhaseTrainer
from tlcli.training.strategy import phases

BATCH = 32
# Pictures that a round reads from files at least, again and again if they are fewer: TensorFlow
# needs a few hundred to learn what the small operations of a pipeline cost.
MANY = 512
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


# Does the work once; gives what is still to be let go of (an iterator), or None.
Work = Callable[[], Any]


def run(checked: Checked[Bench, TrainJob]) -> int:
    """Measure as configured and print the table; returns the exit code."""
    console.start_log(None)
    settings = checked.settings
    shared = prepare(checked.job, settings.images)
    results = []
    for part in settings.parts:
        arms = PARTS[part](shared)
        if not arms:
            console.say(f"{part:<10} left out: the configuration has no teacher")
            continue
        of_files = part in ("decode", "predict")
        count = len(rows_of_files(shared) if of_files else shared.manifest.rows(TRAIN))
        results.append(compared(part, arms, settings.rounds, count))
    sys.stdout.write(table(results))
    if settings.output:
        found = {"machine": machine(shared), "parts": results}
        files.write_json(Path(settings.output).expanduser(), found)
    return 0


def prepare(job: TrainJob, images: int) -> Run:
    """The training's parts over a few of its training images; all weights are trained.

    The figures would not be comparable with strategies that train a part alone.
    """
    fixed = {"cache": "ram", "epochs": 1000.0, "accumulation_steps": 1}
    chosen = (("finetune", "full"), ("augmentation", "none"))
    groups = {group: registry.defaults(group, option) for group, option in chosen}
    job = train_job({**job.config, **groups, **fixed})
    shared = build.prepare(batch_size.resolved(job))
    shared.batch_norm = "train"
    rows = shared.manifest.rows(TRAIN)[:images]
    splits = np.full(len(shared.manifest.splits), NO_SPLIT, np.int8)
    splits[rows] = TRAIN
    return replace(shared, manifest=replace(shared.manifest, splits=splits))


def in_memory(run: Run) -> Run:
    """The same over pictures that are decoded and resized already."""
    rows = run.manifest.rows(TRAIN)
    pictures = frozen.compute(None, run.plain_views, rows, 1, BATCH)[0]
    manifest = replace(
        run.manifest, images=ArrayImages(pictures), splits=np.zeros(len(rows), np.int8),
        ids=[run.manifest.ids[row] for row in rows], labels=run.manifest.labels[rows],
    )  # fmt: skip
    views = Views(manifest, run.plain_views.resize, None, 0, run.plain_views.workers)
    return replace(run, manifest=manifest, train_views=views, plain_views=views)


# ---- the arms of each part --------------------------------------------------------------------


def decode_arms(run: Run) -> dict[str, Work]:
    """Reading, decoding and resizing; later epochs of a stream find the pictures decoded."""
    rows, plain = rows_of_files(run), run.plain_views
    room = int(run.job.settings.cache_memory * frozen.free_memory())
    kept = replace(run.manifest, images=DecodedImages(run.manifest.images, room))
    later = Views(kept, plain.resize, None, 0, plain.workers)

    def ours(views: Views) -> Work:
        return lambda: consumed(views.dataset(rows, np.zeros(len(rows)), BATCH))

    return {
        "tl": ours(plain), "tl, later epochs": ours(later),
        "keras": lambda: consumed(plain_dataset(run, rows)),
    }  # fmt: skip


def rows_of_files(run: Run) -> Any:
    """The training images, all equally often, MANY or more."""
    rows = run.manifest.rows(TRAIN)
    return np.tile(rows, -(-MANY // len(rows)))


def forward_arms(run: Run) -> dict[str, Work]:
    """A frozen forward pass over pictures in memory."""
    model = run.student.model
    batches = [tf.constant(b) for b in _batches(in_memory(run).manifest.images.array)]

    def forward(network: Any) -> Work:
        call = tf.function(lambda images: network(images, training=False), reduce_retracing=True)
        return lambda: [call(images).numpy() for images in batches][:0]

    return {"tl": forward(fold.folded(model) or model), "keras": forward(model)}


def step_arms(run: Run) -> dict[str, Work]:
    """Training steps of all weights over pictures in memory."""
    held = in_memory(run)
    pictures = held.manifest.images.array
    labels = label_table(held.manifest, np.arange(len(pictures)))
    plain = plain_keras.compiled(copied(held), 1e-4, held.manifest.multi_label)
    size = int(held.job.settings.batch_size)
    return {
        "tl": steps(replace(held, teacher=None, method=none_method(), method_state=None)),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def distill_arms(run: Run) -> dict[str, Work]:
    """Training steps that learn from a teacher: its outputs kept, online, and Keras' Distiller."""
    if run.teacher is None:
        return {}
    held = in_memory(run)
    pictures = held.manifest.images.array
    labels = label_table(held.manifest, np.arange(len(pictures)))
    plain = plain_keras.distiller(
        plain_teacher(held), copied(held), 1e-4, held.manifest.multi_label
    )
    size = int(held.job.settings.batch_size)
    settings = replace(held.job.settings, cache="off")
    online = replace(held, job=replace(held.job, settings=settings), student=rebuilt(held))
    return {
        "tl, teacher kept": steps(held),
        "tl, teacher online": steps(online),
        "keras": lambda: plain.fit(pictures, labels, size, epochs=1, verbose=0) and None,
    }


def predict_arms(run: Run) -> dict[str, Work]:
    """From files to logits."""
    rows, model = rows_of_files(run), copied(run)
    call = classifier(run.student.model)

    def ours() -> Any:
        iterator = iter(run.plain_views.dataset(rows, np.zeros(len(rows)), BATCH))
        for images in iterator:
            call(images).numpy()
        return iterator

    return {
        "tl": ours,
        "keras": lambda: model.predict(plain_dataset(run, rows), verbose=0) is None,
    }


PARTS: dict[str, Callable[[Run], dict[str, Work]]] = {
    "decode": decode_arms, "forward": forward_arms, "step": step_arms,
    "distill": distill_arms, "predict": predict_arms,
}  # fmt: skip


def steps(run: Run) -> Work:
    """One epoch of the run's own training loop, each time the next one."""
    trainer = PhaseTrainer(run, phases(run)[-1], 0, 0)
    count = max(1, len(run.manifest.rows(TRAIN)) // trainer.order.batch_size)
    at = [0]

    def work() -> None:
        trainer.feed(at[0], at[0] + count)
        at[0] += count

    return work


def copied(run: Run) -> Any:
    """A plain Keras model of the same network and weights, built anew."""
    classes = len(run.manifest.class_names)
    model = checkpoint.rebuild(run.job.config, {}, classes, run.student.resize)
    for new, old in zip(model.variables, run.student.model.variables, strict=True):
        new.assign(old.numpy())
    return model


def rebuilt(run: Run) -> Any:
    """Another student, so that two trainings do not share their weights."""
    taps = run.student.taps
    classes = len(run.manifest.class_names)
    return build_student(run.job.backbone, run.job.head, classes, run.student.resize, taps)


def none_method() -> Any:
    """The method that learns from labels alone."""
    return registry.build("distillation", registry.defaults("distillation", "none"))


def plain_teacher(run: Run) -> Any:
    """The teacher as Keras loads it where that is possible; else as tl runs it, folded."""
    values = run.job.config["teacher"]
    if values["name"] == "run":
        return checkpoint.read_run(values["path"]).model
    built = run.teacher.built.model
    return keras.Model(built.inputs, built.outputs[0])


def plain_dataset(run: Run, rows: Any) -> Any:
    """The rows' pictures by plain tf.data; from their files where they have some."""
    root, resize = Path(run.manifest.root), run.plain_views.resize
    paths = [str(root / str(run.manifest.ids[row])) for row in rows]
    if all(map(os.path.isfile, paths)):
        return plain_keras.picture_dataset(paths, resize.size, BATCH)
    return plain_keras.source_dataset(run.manifest.images, rows, resize, BATCH)


def consumed(dataset: Any) -> Any:
    """Go through a dataset; gives its iterator."""
    iterator = iter(dataset)
    for _ in iterator:
        pass
    return iterator


def _batches(array: Any) -> list[Any]:
    return [array[start : start + BATCH] for start in range(0, len(array), BATCH)]


# ---- measuring --------------------------------------------------------------------------------


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


def machine(run: Run) -> dict[str, Any]:
    """What the figures belong to."""
    return {
        "processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "gpus": len(tf.config.list_logical_devices("GPU")),
        "precision": keras.config.dtype_policy().name, "python": platform.python_version(),
        "tensorflow": tf.__version__, "keras": keras.__version__,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
        "pixels": run.student.resize.size, "batch_size": int(run.job.settings.batch_size),
        "backbone": run.job.config["backbone"]["name"],
    }  # fmt: skip
