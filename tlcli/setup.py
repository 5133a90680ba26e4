"""From a checked configuration to everything a training needs, and the plan that describes it."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli import balance, block_table, cache, graph, lora, model, precision, spread
from tlcli.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data._decoded import DecodedImages
from tlcli.data._manifest import class_counts as counts_of
from tlcli.data._unlabelled import joined, photos, with_classes
from tlcli.errors import ConfigError, DataError
from tlcli.finetune import Block, Phase
from tlcli.phase import Run, cached_split, make_order, monitored, placed
from tlcli.pipeline import Views, worker_count
from tlcli.resize import Resize
from tlcli.settings import TrainJob

log = logging.getLogger(__name__)
NO_SPLIT = 9


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
        student = model.build_student(job.backbone, job.head, classes, resize, taps)
        report = job.backbone.load(student.model)
    folder = settings.cache_folder / "tables" if settings.cache in ("auto", "disk", True) else None
    run = Run(
        job=job, strategy=strategy, manifest=manifest, student=student,
        train_views=train_views(job, manifest, resize),
        plain_views=Views(manifest, resize, None, settings.seed, workers),
        tables=cache.Tables(folder), batch_norm=batch_norm(job.backbone, report),
        weights_report=report,
    )  # fmt: skip
    synchronise_norms(run, student.model)
    if run.batch_norm == "adapt":
        adapt_norms(run)
    fit_head(run)
    attach_method(run)
    return run


def without_validation(run: Run) -> Run:
    """The run with its training images alone, for trials: nothing is computed for the others."""
    splits = np.where(run.manifest.splits == TRAIN, TRAIN, NO_SPLIT).astype(np.int8)
    return dataclasses.replace(run, manifest=dataclasses.replace(run.manifest, splits=splits))


def train_views(job: TrainJob, manifest: Manifest, resize: Resize) -> Views:
    """Training views; where they never repeat, pictures stay decoded as far as memory allows."""
    settings = job.settings
    workers = worker_count(settings.workers)
    views = Views(manifest, resize, job.augmentation, settings.seed, workers)
    in_memory = settings.cache in ("auto", "ram", True)
    if not in_memory or views.finite is not None or manifest.images.array is not None:
        return views
    room = int(settings.cache_memory * cache.free_memory())
    kept = dataclasses.replace(manifest, images=DecodedImages(manifest.images, room))
    return Views(kept, resize, job.augmentation, settings.seed, workers)


def data_of(job: TrainJob) -> Manifest:
    """The data, with the classes of the teacher where it has none, and with unlabelled photos.

    Raises:
        ConfigError: Contradictions.
        DataError: Data that cannot train a classifier.
    """
    settings = job.settings
    manifest: Manifest = job.data.manifest(settings.seed, settings.cache_folder)
    if not manifest.class_names:
        manifest = with_classes(manifest, teacher_classes(job))
    if settings.unlabelled is not None:
        folder = Path(settings.unlabelled).expanduser()
        manifest = joined(manifest, photos(folder, settings.cache_folder))
    check_data(job, manifest)
    return manifest


def teacher_classes(job: TrainJob) -> tuple[str, ...]:
    """Names of the classes that the job's teacher knows.

    Raises:
        ConfigError: There is no teacher, or it does not tell.
    """
    tell = getattr(job.teacher, "known_classes", None)
    names = tell() if tell is not None else None
    if not names:
        name = job.config["teacher"]["name"]
        raise ConfigError(
            "data.class_names", f"the photos have no classes, and teacher={name} does not tell any",
            "List them in the order of the teacher's outputs, as [cat,dog].",
        )  # fmt: skip
    return tuple(names)


def resize_of(job: TrainJob) -> Resize:
    """How pictures become squares in validation, and the side of training views."""
    settings = job.settings
    side = settings.image_size or job.backbone.default_image_size
    return Resize(side, settings.resize, settings.crop_fraction, True)


def start_devices(job: TrainJob) -> Any:
    """Seeds, precision and the strategy."""
    settings = job.settings
    keras.utils.clear_session()
    strategy = job.hardware.strategy()
    keras.utils.set_random_seed(settings.seed)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(precision.resolved(settings.precision, has_gpu()))
    return strategy


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def check_data(job: TrainJob, manifest: Manifest) -> None:
    """Refuse data that cannot train a classifier, or that an option does not fit.

    Raises:
        DataError: Too few classes or images.
        ConfigError: Contradictions.
    """
    names = manifest.class_names
    if len(names) < 2:
        raise DataError("data", f"has one class, {names}", "A classifier needs two or more.")
    if not len(manifest.rows(TRAIN)):
        raise DataError("data", "has no training images", "Give some, or smaller fractions.")
    validation = len(manifest.labelled(VALIDATION))
    if not validation and hasattr(job.schedule, "initial_state"):
        raise ConfigError(
            "schedule", "plateau watches validation, and there is no labelled validation image",
            "Give data.validation_fraction above 0, or another schedule.",
        )  # fmt: skip
    if not validation and job.settings.early_stopping:
        raise ConfigError(
            "early_stopping", "there is no labelled validation image",
            "Give data.validation_fraction above 0, or early_stopping=null.",
        )  # fmt: skip
    check_monitor(job, manifest)
    check_labels(job, manifest)
    wanted = job.loss.multi_label
    if wanted is not None and wanted != manifest.multi_label:
        kinds = {True: "several labels an image", False: "one label an image"}
        raise ConfigError(
            "loss", f"is for {kinds[wanted]}, and the data has {kinds[manifest.multi_label]}",
            "Give loss=bce or asymmetric." if manifest.multi_label else "Give loss=cross_entropy.",
        )  # fmt: skip
    mix = job.augmentation.mix
    allowed = getattr(job.augmentation, "cutmix_multi_label", True)
    if mix is not None and mix.cutmix_alpha and manifest.multi_label and not allowed:
        raise ConfigError(
            "augmentation.cutmix", "a cut box may hold none of several labels",
            "Give augmentation.cutmix=0, for mixup is right for several labels, or "
            "augmentation.cutmix_multi_label=true.",
        )  # fmt: skip
    if job.settings.sampler == "balanced" and manifest.multi_label:
        raise ConfigError("sampler", "several labels an image have no one class", "Give uniform.")


def check_labels(job: TrainJob, manifest: Manifest) -> None:
    """Refuse what needs a label of every training image where some have none.

    Raises:
        ConfigError: The sampler, or a loss of labels without any.
    """
    bare = job.settings.unlabelled is not None
    if bare and manifest.multi_label and job.distillation.hard_weight:
        raise ConfigError(
            "unlabelled", "of several labels an image, none at all says that no class is there",
            "Give distillation.hard_weight=0, so that labels do not count.",
        )  # fmt: skip
    labelled, rows = (len(found(TRAIN)) for found in (manifest.labelled, manifest.rows))
    if labelled == rows:
        return
    if job.settings.sampler == "balanced":
        raise ConfigError(
            "sampler", f"{rows - labelled} of {rows} training images have no class",
            "Give uniform.",
        )  # fmt: skip
    method = job.config["distillation"]["name"]
    if not labelled and method == "none":
        raise ConfigError(
            "distillation", "no training image has a label, and nothing else is learnt from",
            "Give teacher=run teacher.path=RUN distillation=kd distillation.hard_weight=0.",
        )  # fmt: skip
    if not labelled and job.distillation.hard_weight:
        raise ConfigError(
            "distillation.hard_weight",
            f"got {job.distillation.hard_weight}, and no training image has a label", "Give 0.",
        )  # fmt: skip


def check_monitor(job: TrainJob, manifest: Manifest) -> None:
    """Refuse to choose the best epoch by a figure that the data cannot have.

    Raises:
        ConfigError: The figure is one of several labels an image.
    """
    if monitored(job, manifest) == "mean_average_precision" and not manifest.multi_label:
        raise ConfigError(
            "monitor", "mean_average_precision is for several labels an image, the data has one",
            "Give accuracy, macro_f1, balanced_accuracy or loss.",
        )  # fmt: skip


def _needs_features(job: TrainJob) -> bool:
    return bool({"features", "preactivations"} & set(job.distillation.needs))


def batch_norm(backbone: Any, report: Any) -> str:
    """What happens to the backbone's batch normalisation; random weights must be normalised."""
    wanted = getattr(backbone, "batch_norm", "frozen")
    return "train" if report.source == "random" else str(wanted)


def synchronise_norms(run: Run, student: Any) -> None:
    """Let batch statistics be those of the global batch on several replicas."""
    several = run.strategy.num_replicas_in_sync > 1
    if not several or run.job.hardware.batch_norm == "local":
        return
    for layer in student._flatten_layers():
        if model.is_batch_norm(layer):
            layer.synchronized = True


def adapt_norms(run: Run, batches: int = 64) -> None:
    """Replace the statistics of batch normalisation by those of the training images.

    The averages are taken equally over batches of 32 (AdaBN, Li et al. 2016, arXiv:1603.04779);
    the weights stay.
    """
    norms = [layer for layer in run.student.model._flatten_layers() if model.is_batch_norm(layer)]
    momenta = [layer.momentum for layer in norms]
    rows = np.random.default_rng(run.job.settings.seed).permutation(run.manifest.rows(TRAIN))
    rows = rows[: 32 * batches]
    for layer in norms:
        layer.trainable = True
    for index, images in enumerate(run.plain_views.batches(rows, np.zeros(len(rows)), 32)):
        for layer in norms:
            layer.momentum = index / (index + 1)
        run.student.model(images, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum


def fit_head(run: Run) -> None:
    """Show training embeddings to a head that must see data first (kernel's bandwidth)."""
    if not hasattr(run.job.head, "fit"):
        return
    rows = run.manifest.rows(TRAIN)
    generator = np.random.default_rng(run.job.settings.seed)
    rows = np.sort(generator.permutation(rows)[:1000])
    embed = keras.Model(run.student.extended.inputs, run.student.extended.outputs[1])
    embeddings = cache.compute(embed, run.plain_views, rows, 1, 64)[0]
    run.job.head.fit(run.student.model, embeddings)


def attach_method(run: Run) -> None:
    """Build the teacher and the method's connectors."""
    run.method = run.job.distillation
    taught = getattr(run.job.teacher, "is_teacher", False)
    if taught or run.job.config["distillation"]["name"] != "none":
        from tlcli import teach

        teach.attach(run)


def phases(run: Run) -> tuple[Phase, ...]:
    """The phases of the run's strategy; those without length are left out.

    Low-rank factors that a phase needs are put into the student, before any state is read back.
    """
    found = run.job.finetune.phases(block_names(run.student.model), run.job.settings.epochs)
    with run.strategy.scope():
        for phase in found:
            if phase.lora is not None:
                lora.attach(run.student.model, phase.lora, run.job.settings.seed)
    return tuple(without(phase, run.fixed) for phase in found if phase.epochs > 0)


def without(phase: Phase, layers: tuple[str, ...]) -> Phase:
    """The phase with some layers frozen."""
    rates = {name: rate for name, rate in phase.rates.items() if name not in layers}
    return dataclasses.replace(phase, rates=rates)


def block_names(student: Any) -> list[Block]:
    """The student's blocks in plain names, stem first, head last."""
    found = []
    for block in graph.blocks(student):
        layers = tuple(str(getattr(layer, "name", layer)) for layer in block.layers)
        found.append(Block(block.name, layers))
    return found


def plan(run: Run, chosen: tuple[Phase, ...], run_dir: Path) -> list[str]:
    """What will happen, a few lines and a table of blocks a phase."""
    job, manifest, settings = run.job, run.manifest, run.job.settings
    counts = [len(manifest.rows(split)) for split in (TRAIN, VALIDATION, TEST)]
    shown = ", ".join(f"{n} {s}" for n, s in zip(counts, SPLIT_NAMES, strict=True))
    names = {group: values.get("name") for group, values in job.config.items()
             if isinstance(values, Mapping)}  # fmt: skip
    note = precision.note(settings.precision, has_gpu())
    lines = [
        f"data       {manifest.root}: {len(manifest.class_names)} classes, {shown}",
        f"           {class_counts(manifest)}{bare_note(run)}; {scan_notes(manifest)}",
        backbone_line(run),
        f"head       {head_name(run)}; batch norm {run.batch_norm}; "
        f"{keras.config.dtype_policy().name}; {choice(run)}",
        *([] if note is None else [f"           {note}"]),
        *(line for i, phase in enumerate(chosen[:6]) for line in phase_lines(run, i, phase)),
    ]
    if len(chosen) > 6:
        lines.append(f"           … {len(chosen) - 6} more phases")
    batch, replicas = int(settings.batch_size), run.strategy.num_replicas_in_sync
    local = make_order(run, run.manifest.rows(TRAIN), 0).local_size
    share = f" (up to {local} on each of {replicas} devices)" if replicas > 1 else ""
    lines.append(
        f"step       {names['optimizer']}, {names['schedule']}, batch {batch}{share}, "
        f"loss {names['loss']}, augmentation {augmentation_text(run)}"
    )
    lines += spread.plan_lines(run)
    if run.teacher is not None:
        lines += run.teacher.plan_lines()
    lines += balance.plan_lines(run, chosen[-1]) if chosen else []
    if run.method_state is not None:
        from tlcli import peers

        lines += peers.plan_lines(run)
    return [*lines, f"run        {run_dir}, seed {settings.seed}"]


def choice(run: Run) -> str:
    """Which epoch's weights are kept, in words."""
    if len(run.manifest.labelled(VALIDATION)):
        return f"best epoch by {monitored(run.job, run.manifest)}"
    return "the last epoch is kept, for no validation image has a label"


def head_name(run: Run) -> str:
    """The head in words."""
    own = run.job.config["head"]["name"]
    return str(own) if run.borrowed is None else "projector, then the teacher's, which stays"


def backbone_line(run: Run) -> str:
    """The network and what its weights file gave."""
    values, report = run.job.config["backbone"], run.weights_report
    missing = [name for name in report.missing if not name.startswith("head_")]
    absent = f": {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}" if missing else ""
    return (
        f"backbone   {values.get('constructor') or values['name']} at "
        f"{run.student.resize.size} px, "
        f"weights {report.source}: {len(report.loaded)} layers loaded, {len(missing)} "
        f"missing{absent}, {len(report.skipped)} of the file unused"
    )


def phase_lines(run: Run, index: int, phase: Phase) -> list[str]:
    """How long and how fast a phase is, what is computed once for it, and a table of its blocks."""
    from tlcli.loop import set_trainable

    job = run.job
    rates = set_trainable(run.student.model, phase.rates, phase.only, run.batch_norm)
    total = model.count(run.student.model.variables)
    trained = model.count(v for v in run.student.model.trainable_variables if v.path in rates)
    order = make_order(run, run.manifest.rows(TRAIN), 0)
    rate = job.optimizer.scaled_rate(order.batch_size) * phase.rate
    span = [rate * multiplier for multiplier in rates.values()] or [0.0]
    prefix = cached_split(run).prefix
    cut = f", {cache_text(run, prefix)}" if prefix is not None else ""
    line = (
        f"phase {index + 1}    {phase.name}: {trained:,} of {total:,} numbers, "
        f"{order.total_steps(phase.epochs)} steps ({phase.epochs:.3g} epochs), "
        f"rate {block_table.rate_text((min(span), max(span)))}{cut}"
    )
    table = [str(row) for row in block_table.rows(run.student.model, rates, rate)]
    return [line, block_table.HEADER, *table]


def cache_text(run: Run, prefix: Any) -> str:
    """Where the outputs of the frozen part are kept, and their size."""
    count, rows = run.train_views.finite, run.manifest.rows(TRAIN)
    if count is None or (run.teacher is not None and not run.teacher.tabular):
        return "frozen part each step"
    place = placed(run, prefix, run.train_views, len(rows) * count)
    return "frozen part each step" if place is None else f"frozen part cached, {place}"


def augmentation_text(run: Run) -> str:
    """Augmentation and number of views in words."""
    name = run.job.config["augmentation"]["name"]
    views = run.train_views.finite
    return f"{name} ({views} view{'s' if views != 1 else ''} an image)" if views else str(name)


def class_counts(manifest: Manifest) -> str:
    """Images a class in the training split, least to most."""
    labels = manifest.labels[manifest.rows(TRAIN)]
    counts = counts_of(labels, len(manifest.class_names))
    if not counts.any():
        return "no training image has a label"
    if len(counts) <= 6:
        pairs = zip(manifest.class_names, counts, strict=True)
        return "train " + ", ".join(f"{n} {c}" for n, c in pairs)
    low, high = int(counts.argmin()), int(counts.argmax())
    return (
        f"train images a class {counts[low]} ({manifest.class_names[low]}) to {counts[high]} "
        f"({manifest.class_names[high]}), median {int(np.median(counts))}"
    )


def bare_note(run: Run) -> str:
    """How many training images have no label, and what is learnt from them."""
    manifest = run.manifest
    bare = len(manifest.rows(TRAIN)) - len(manifest.labelled(TRAIN))
    if not bare or not len(manifest.labelled(TRAIN)):
        return ""
    use = "for the teacher's outputs alone"
    if run.job.config["distillation"]["name"] == "none":
        use = "which add nothing without a teacher"
    return f"; {bare} without a label, {use}"


def scan_notes(manifest: Manifest) -> str:
    """What the scan found that a person should know."""
    report: Mapping[str, Any] = manifest.report
    skipped, same = report.get("skipped") or [], report.get("duplicates") or []
    notes = [str(report["sizes"])] if report.get("sizes") else []
    if skipped:
        first = ", ".join(f"{i} ({r})" for i, r in skipped[:2])
        notes.append(f"{len(skipped)} unreadable, skipped: {first}")
    if same:
        first = ", ".join(f"{a} = {b}" for a, b in same[:2])
        notes.append(f"{len(same)} the same across splits: {first}")
    notes += [str(note) for note in (report.get("notes") or [])[:2]]
    return "; ".join(notes) or "nothing unusual"


def draw_schedule(run: Run, chosen: tuple[Phase, ...]) -> str:
    """The learning rate of each phase as a line of bars."""
    bars, text = "▁▂▃▄▅▆▇█", []
    order = make_order(run, run.manifest.rows(TRAIN), 0)
    for phase in chosen:
        total = order.total_steps(phase.epochs)
        values = run.job.schedule.values(total, order.steps_per_epoch, order.batch_size)
        base = run.job.optimizer.scaled_rate(order.batch_size) * phase.rate
        shown = np.interp(np.linspace(0, total - 1, 60), np.arange(total), values)
        top = max(float(values.max()), 1e-12)
        line = "".join(bars[min(7, int(v / top * 7.999))] for v in shown)
        text.append(f"{phase.name:>18} {line} {base * values[0]:.2g} … {base * top:.2g}")
    return "\n".join(text)
