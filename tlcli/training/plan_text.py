"""The plan in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tlcli.contracts.backbone import HeadReport
from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data.decoded import DecodedImages
from tlcli.data.samples import class_counts as counts_of
from tlcli.data.samples import some_names
from tlcli.data.views import Views
from tlcli.distill import peers
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.evaluation.calibration import LEAST, can_calibrate
from tlcli.evaluation.monitor import monitored
from tlcli.models.student import count
from tlcli.system import files, precision
from tlcli.system.shown import shown as harmless
from tlcli.training import block_table, doubts, replica_notes, term_sizes
from tlcli.training.devices import has_gpu
from tlcli.training.plan import PhasePlan, Plan

# Validation images below which a figure says little.
HANDFUL = 30
# More phases than these are counted.
MOST_PHASES = 6
# Unreadable files that the plan names.
NAMED = 8


def lines(plan: Plan, run_dir: Path) -> list[str]:
    """What will happen, a few lines and a table of blocks a phase."""
    pieces, lesson = plan.pieces, plan.lesson
    manifest, settings = pieces.manifest, pieces.job.settings
    counts = [len(manifest.rows(split)) for split in (TRAIN, VALIDATION, TEST)]
    shown = ", ".join(f"{n} {s}" for n, s in zip(counts, SPLIT_NAMES, strict=True))
    note = precision.note(settings.precision, has_gpu())
    found = [
        f"data       {manifest.root}: {len(manifest.class_names)} classes, {shown}",
        f"           {class_counts(manifest)}{bare_note(pieces)}; {scan_notes(manifest)}",
        backbone_line(pieces),
        f"head       {head_name(pieces, lesson)}; batch norm {pieces.batch_norm}; "
        f"{keras.config.dtype_policy().name}; {choice(pieces)}",
        *head_lines(lesson.head, manifest.class_names),
        *few_lines(pieces),
        *(f"warning    {text}" for text in doubts.texts(plan)),
        *([] if note is None else [f"           {note}"]),
        *(line for phase in plan.phases[:MOST_PHASES] for line in phase_lines(plan, phase)),
    ]
    if len(plan.phases) > MOST_PHASES:
        found.append(f"           … {len(plan.phases) - MOST_PHASES} more phases")
    found += [memory_line(plan)] if plan.phases else []
    found.append(step_line(plan))
    found += replica_notes.plan_lines(pieces, lesson)
    found += lesson.teacher.plan_lines()
    found += term_sizes.plan_lines(plan.phases[-1].sizes) if plan.phases else []
    found += peers.plan_lines(lesson)
    if settings.extend:
        found.append(
            f"extend     {settings.epochs:g} epochs more, from the weights of {settings.extend}"
        )
    return [*found, f"run        {run_dir}, seed {settings.seed}"]


def step_line(plan: Plan) -> str:
    """What a step is made of."""
    pieces = plan.pieces
    names = {group: values.get("name") for group, values in pieces.job.config.items()
             if isinstance(values, Mapping)}  # fmt: skip
    replicas = pieces.replicas
    local = plan.phases[0].order.local_size if plan.phases else 0
    share = f" (up to {local} on each of {replicas} devices)" if replicas > 1 else ""
    return (
        f"step       {names['optimizer']}, {names['schedule']}, batch "
        f"{int(pieces.job.settings.batch_size)}{share}, loss {names['loss']}, "
        f"augmentation {augmentation_text(names['augmentation'], pieces.train_views)}"
    )


def choice(pieces: Pieces) -> str:
    """Which epoch's weights are kept, in words."""
    if len(pieces.manifest.labelled(VALIDATION)):
        return f"best epoch by {monitored(pieces.job, pieces.manifest)}"
    return "the last epoch is kept, for no validation image has a label"


def few_lines(pieces: Pieces) -> list[str]:
    """What a handful of validation images cannot tell."""
    manifest, settings = pieces.manifest, pieces.job.settings
    images = len(manifest.labelled(VALIDATION))
    if not images or images >= max(HANDFUL, LEAST):
        return []
    said = []
    if images < HANDFUL:
        uses = "the best epoch" + (" and early stopping" if settings.early_stopping else "")
        said.append(f"one of them moves a figure by {100 / images:.1f} points, {uses} with it")
    if settings.calibrate:
        fitted = can_calibrate(manifest, images)
        said.append("thresholds are fitted to them" if fitted else "no temperature is fitted")
    return [f"           only {images} labelled validation images: {'; '.join(said)}"] * bool(said)


def head_name(pieces: Pieces, lesson: Lesson) -> str:
    """The head in words."""
    own = pieces.job.config["head"]["name"]
    return str(own) if lesson.borrowed is None else "projector, then the teacher's, which stays"


def head_lines(head: HeadReport, class_names: Sequence[str]) -> list[str]:
    """What the head took over from an earlier run, and what is new."""
    if not head.source:
        return []
    new = [name for name in class_names if name not in head.kept]
    if not head.kept:
        return [f"           all new: {head.why} ({head.source})"]
    if not new:
        return [f"           taken over from {head.source}: all these classes are among its own"]
    return [
        f"           rows of {len(head.kept)} classes are those of {head.source}: "
        f"{some_names(head.kept)}; new are {some_names(new)}"
    ]


def backbone_line(pieces: Pieces) -> str:
    """The network and what its weights file gave."""
    values, report = pieces.job.config["backbone"], pieces.loaded
    missing = [name for name in report.missing if not name.startswith("head_")]
    absent = f": {', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}" if missing else ""
    return (
        f"backbone   {values.get('constructor') or values['name']} at "
        f"{pieces.student.resize.size} px, "
        f"weights {report.source}: {len(report.loaded)} layers loaded, {len(missing)} "
        f"missing{absent}, {len(report.skipped)} of the file unused"
    )


def phase_lines(plan: Plan, phase: PhasePlan) -> list[str]:
    """How long and how fast a phase is, what is computed once for it, and a table of its blocks."""
    pieces, order = plan.pieces, phase.order
    total = count(plan.lesson.student.model.variables)
    rate = pieces.job.optimizer.scaled_rate(order.batch_size) * phase.phase.rate
    span = [rate * multiplier for multiplier in phase.rates.values()] or [0.0]
    line = (
        f"phase {phase.index + 1}    {phase.phase.name}: {phase.trained:,} of {total:,} numbers, "
        f"{phase.total_steps} steps ({phase.phase.epochs:.3g} epochs), "
        f"rate {block_table.rate_text((min(span), max(span)))}{cache_text(phase)}"
    )
    return [line, block_table.HEADER, *map(str, phase.blocks)]


def cache_text(phase: PhasePlan) -> str:
    """Where the outputs of the frozen part are kept, and their size."""
    if phase.cut.prefix is None:
        return ""
    if phase.places.tables is None:
        return ", frozen part each step"
    return f", frozen part cached, {phase.places.tables}"


def memory_line(plan: Plan) -> str:
    """What shares the memory that may be kept, in the phase that keeps most."""
    places = min((phase.places for phase in plan.phases), key=lambda p: p.budget.left)
    owners = [f"{what} {files.megabytes(size)}" for what, size in places.budget.taken]
    images = plan.pieces.train_views.manifest.images
    owners += ["decoded pictures the rest"] if isinstance(images, DecodedImages) else []
    teacher = plan.lesson.teacher
    told = ""
    if teacher.built is not None and teacher.built.kept is not None and (
        places.signals is None or places.signals.mapped
    ):  # fmt: skip
        told = "read from disk" if teacher.on_disk else "computed in each step"
    return (
        f"memory     {files.megabytes(places.budget.size)} may be kept: {', '.join(owners)}"
        f"{told and f'; teacher outputs {told}'}"
    )


def augmentation_text(name: Any, seen: Views) -> str:
    """Augmentation and number of views in words."""
    views = seen.finite
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


def bare_note(pieces: Pieces) -> str:
    """How many training images have no label, and what is learnt from them."""
    manifest = pieces.manifest
    bare = len(manifest.rows(TRAIN)) - len(manifest.labelled(TRAIN))
    if not bare or not len(manifest.labelled(TRAIN)):
        return ""
    use = "for the teacher's outputs alone"
    if not pieces.job.distillation.distils:
        use = "which add nothing without a teacher"
    return f"; {bare} without a label, {use}"


def scan_notes(manifest: Manifest) -> str:
    """What the scan found that a person should know."""
    report: Mapping[str, Any] = manifest.report
    skipped, same = report.get("skipped") or [], report.get("duplicates") or []
    notes = [str(report["sizes"])] if report.get("sizes") else []
    if skipped:
        first = ", ".join(f"{harmless(i)} ({harmless(r)})" for i, r in skipped[:NAMED])
        more = ", …" if len(skipped) > NAMED else ""
        notes.append(f"{len(skipped)} unreadable, skipped: {first}{more}")
    if same:
        first = ", ".join(f"{harmless(a)} = {harmless(b)}" for a, b in same[:2])
        notes.append(f"{len(same)} the same across splits: {first}")
    notes += [str(note) for note in (report.get("notes") or [])]
    return "; ".join(notes) or "nothing unusual"


def drawn_schedule(plan: Plan) -> str:
    """The learning rate of each phase as a line of bars."""
    bars, text = "▁▂▃▄▅▆▇█", []
    for phase in plan.phases:
        values, total = phase.rate_table, phase.total_steps
        shown = np.interp(np.linspace(0, total - 1, 60), np.arange(total), values)
        top = max(float(values.max()), 1e-12)
        line = "".join(bars[min(7, int(v / top * 7.999))] for v in shown)
        text.append(f"{phase.phase.name:>18} {line} {values[0]:.2g} … {top:.2g}")
    return "\n".join(text)
