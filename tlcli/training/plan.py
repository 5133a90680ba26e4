"""What will happen, in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.contracts.finetune import Phase
from tlcli.data.samples import class_counts as counts_of
from tlcli.distill.pieces import Run
from tlcli.evaluation.monitor import monitored
from tlcli.models import student
from tlcli.system import precision
from tlcli.training import block_table, replica_notes
from tlcli.training.devices import has_gpu
from tlcli.training.frozen_part import cached_split, placed
from tlcli.training.order import make_order
from tlcli.training.term_sizes import plan_lines


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
    lines += replica_notes.plan_lines(run)
    if run.teacher is not None:
        lines += run.teacher.plan_lines()
    lines += plan_lines(run, chosen[-1]) if chosen else []
    if run.method_state is not None:
        from tlcli.distill import peers

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
    from tlcli.models.trainable import set_trainable

    job = run.job
    rates = set_trainable(run.student.model, phase.rates, phase.only, run.batch_norm)
    total = student.count(run.student.model.variables)
    trained = student.count(v for v in run.student.model.trainable_variables if v.path in rates)
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
