"""What a training is made of: devices, data, network, views."""

from typing import Any

import keras
import numpy as np

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN, Manifest
from tlcli.data.views import Views, worker_count
from tlcli.distill.pieces import Pieces
from tlcli.models.frozen.network import compute
from tlcli.models.frozen.tables import Tables
from tlcli.models.norms import adapt_norms, batch_norm, synchronise_norms
from tlcli.models.student import Student, build_student
from tlcli.system import cluster, console
from tlcli.system.crew import Crew
from tlcli.system.memory import Budget
from tlcli.training.data import data_of, resize_of, train_views
from tlcli.training.devices import start_devices


def pieces_of(job: TrainJob) -> Pieces:
    """Devices, data and network of a training, the network's weights loaded.

    Raises:
        ConfigError: Options that do not fit each other or the data.
        DataError: Data or weights that cannot be used.
    """
    settings, strategy = job.settings, start_devices(job)
    manifest, resize = data_of(job), resize_of(job)
    with console.Stage("building the network"), strategy.scope():
        student = build_student(
            job.backbone, job.head, len(manifest.class_names), resize, wanted_taps(job)
        )
        loaded = job.backbone.load(student.model)
        names = manifest.class_names
        head = job.backbone.load_head(student.model, job.config["head"], names)
    folder = settings.cache_folder / "tables" if settings.cache in ("auto", "disk", True) else None
    plain = Views(manifest, resize, None, settings.seed, worker_count(settings.workers))
    norms = batch_norm(job.backbone, loaded)
    synchronise_norms(strategy, job.hardware, student.model)
    if norms == "adapt":
        adapt_norms(student.model, sampled_batches(job, manifest, plain))
    if not head.kept:
        fit_head(job, manifest, plain, student)
    budget = Budget.of(settings.cache_memory)
    return Pieces(
        job=job, strategy=strategy, manifest=manifest, student=student,
        train_views=train_views(job, manifest, resize, budget.left), plain_views=plain,
        tables=Tables(folder, crew_of(job)), batch_norm=norms, loaded=loaded, head=head,
        budget=budget,
    )  # fmt: skip


def crew_of(job: TrainJob) -> Crew:
    """This process among those that compute together what the training computes once."""
    member = cluster.join(job.hardware)
    return Crew(job.settings.cache_folder / "parts", member.rank, member.size)


def wanted_taps(job: TrainJob) -> tuple[str, ...] | None:
    """Layers whose maps the method compares: none, those it names, or None for one a stage."""
    needs_maps = {"features", "preactivations"} & set(job.distillation.needs)
    return job.distillation.student_taps if needs_maps else ()


def sampled_batches(job: TrainJob, manifest: Manifest, views: Views, count: int = 64) -> Any:
    """Up to `count` batches of 32 training images in random order, for batch statistics."""
    rows = np.random.default_rng(job.settings.seed).permutation(manifest.rows(TRAIN))
    rows = rows[: 32 * count]
    return views.batches(rows, np.zeros(len(rows)), 32)


def fit_head(job: TrainJob, manifest: Manifest, views: Views, student: Student) -> None:
    """Show training embeddings to a head that must see data first (kernel's bandwidth)."""
    if not job.head.needs_data:
        return
    generator = np.random.default_rng(job.settings.seed)
    rows = np.sort(generator.permutation(manifest.rows(TRAIN))[:1000])
    embed = keras.Model(student.extended.inputs, student.extended.outputs[1])
    embeddings = compute(embed, views, rows, 1, 64)[0]
    job.head.fit(student.model, embeddings)
