"""From a checked configuration to everything a training needs, and the plan that describes it."""

import logging
from typing import Any

import keras
import numpy as np

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN
from tlcli.data.views import Views, worker_count
from tlcli.distill.pieces import Run
from tlcli.models import frozen
from tlcli.models.norms import adapt_norms, batch_norm, synchronise_norms
from tlcli.models.student import build_student
from tlcli.training.data import data_of, resize_of, train_views
from tlcli.training.devices import start_devices

log = logging.getLogger(__name__)


def prepare(job: TrainJob) -> Run:
    """Devices, data, model and teacher of a training.

    Raises:
        ConfigError: Options that do not fit each other or the data.
        DataError: Data or weights that cannot be used.
    """
    settings = job.settings
    strategy = start_devices(job)
    manifest = data_of(job)
    resize = resize_of(job)
    workers = worker_count(settings.workers)
    with strategy.scope():
        taps: tuple[str, ...] | None = ()
        if _needs_features(job):
            taps = getattr(job.distillation, "student_layers", None)
        classes = len(manifest.class_names)
        student = build_student(job.backbone, job.head, classes, resize, taps)
        report = job.backbone.load(student.model)
    folder = settings.cache_folder / "tables" if settings.cache in ("auto", "disk", True) else None
    run = Run(
        job=job, strategy=strategy, manifest=manifest, student=student,
        train_views=train_views(job, manifest, resize),
        plain_views=Views(manifest, resize, None, settings.seed, workers),
        tables=frozen.Tables(folder), batch_norm=batch_norm(job.backbone, report),
        weights_report=report,
    )  # fmt: skip
    synchronise_norms(strategy, job.hardware, student.model)
    if run.batch_norm == "adapt":
        adapt_norms(student.model, sampled_batches(run))
    fit_head(run)
    attach_method(run)
    return run


def _needs_features(job: TrainJob) -> bool:
    return bool({"features", "preactivations"} & set(job.distillation.needs))


def sampled_batches(run: Run, count: int = 64) -> Any:
    """Up to `count` batches of 32 training images in random order, for batch statistics."""
    rows = np.random.default_rng(run.job.settings.seed).permutation(run.manifest.rows(TRAIN))
    rows = rows[: 32 * count]
    return run.plain_views.batches(rows, np.zeros(len(rows)), 32)


def fit_head(run: Run) -> None:
    """Show training embeddings to a head that must see data first (kernel's bandwidth)."""
    if not run.job.head.needs_data:
        return
    rows = run.manifest.rows(TRAIN)
    generator = np.random.default_rng(run.job.settings.seed)
    rows = np.sort(generator.permutation(rows)[:1000])
    embed = keras.Model(run.student.extended.inputs, run.student.extended.outputs[1])
    embeddings = frozen.compute(embed, run.plain_views, rows, 1, 64)[0]
    run.job.head.fit(run.student.model, embeddings)


def attach_method(run: Run) -> None:
    """Build the teacher and the method's connectors."""
    run.method = run.job.distillation
    taught = run.job.teacher.is_teacher
    if taught or run.job.config["distillation"]["name"] != "none":
        from tlcli.distill.attach import attach

        attach(run)
