"""The plan in words: what everybody must read, what may be wrong, and the rest for experts."""

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
from tlcli.system.figures import SPARKS
from tlcli.system.notes import EXPERT, WARNING, Column, Note, Said, Sheet, Table
from tlcli.system.shown import shown as harmless
from tlcli.training import block_table, doubts, replica_notes, term_sizes
from tlcli.training.devices import has_gpu
from tlcli.training.plan import PhasePlan, Plan

# Validation images below which a figure says little.
HANDFUL = 30
# More phases than these are counted.
MOST_PHASES = 5
# Unreadable files that the plan names, and notes on the data that are not for experts.
NAMED, NOTED = 8, 3
# Characters of a drawn schedule.
DRAWN = 30

PHASES = (
    Column("phases"), Column("", left=True), Column("epochs"), Column("steps", rank=2),
    Column("rate"), Column("trains", rank=1), Column("frozen part", rank=3, left=True),
)  # fmt: skip


def sheet(plan: Plan, run_dir: Path) -> Sheet:
    """What will happen."""
    pieces, lesson = plan.pieces, plan.lesson
    settings = pieces.job.settings
    said = [
        *data_notes(pieces),
        *network_notes(pieces, lesson),
        *(Note("warning", text, WARNING) for text in doubts.texts(plan)),
        *phase_tables(plan),
        *([memory_note(plan)] if plan.phases else ()),
        step_note(plan),
        *replica_notes.plan_notes(pieces, lesson),
        *lesson.teacher.plan_notes(),
        *(term_sizes.plan_notes(plan.phases[-1].sizes) if plan.phases else ()),
        *peers.plan_notes(lesson),
    ]
    if settings.extend:
        more = f"{settings.epochs:g} epochs more, from the weights of {settings.extend}"
        said.append(Note("extend", more))
    return Sheet((*said, Note("run", f"{run_dir}, seed {settings.seed}")))


def data_notes(pieces: Pieces) -> list[Said]:
    """The images, and what the scan found that a person should know."""
    manifest = pieces.manifest
    counts = [len(manifest.rows(split)) for split in (TRAIN, VALIDATION, TEST)]
    shown = ", ".join(f"{n:,} {s}" for n, s in zip(counts, SPLIT_NAMES, strict=True))
    return [
        Note("data", f"{manifest.root}: {len(manifest.class_names)} classes, {shown}"),
        Note("", f"{class_counts(manifest)}{bare_note(pieces)}"),
        *scan_notes(manifest),
    ]


def network_notes(pieces: Pieces, lesson: Lesson) -> list[Said]:
    """Backbone, head, what its weights file gave, and in which numbers it computes."""
    settings = pieces.job.settings
    found: list[Said] = [
        *backbone_notes(pieces),
        Note("head", f"{head_name(pieces, lesson)}; {choice(pieces)}"),
        *head_notes(lesson.head, pieces.manifest.class_names),
        *few_notes(pieces),
        Note("", f"batch norm {pieces.batch_norm}; {keras.config.dtype_policy().name}", EXPERT),
    ]
    note = precision.note(settings.precision, has_gpu())
    if note is not None:
        slow = settings.precision != "auto"
        found.append(Note("warning", note, WARNING) if slow else Note("", note, EXPERT))
    return found


def step_note(plan: Plan) -> Note:
    """What a step is made of."""
    pieces = plan.pieces
    names = {group: values.get("name") for group, values in pieces.job.config.items()
             if isinstance(values, Mapping)}  # fmt: skip
    replicas = pieces.replicas
    local = plan.phases[0].order.local_size if plan.phases else 0
    share = f" (up to {local} on each of {replicas} devices)" if replicas > 1 else ""
    return Note(
        "step",
        f"{names['optimizer']}, {names['schedule']}, batch "
        f"{int(pieces.job.settings.batch_size)}{share}, loss {names['loss']}, "
        f"augmentation {augmentation_text(names['augmentation'], pieces.train_views)}",
    )


def choice(pieces: Pieces) -> str:
    """Which epoch's weights are kept, in words."""
    if len(pieces.manifest.labelled(VALIDATION)):
        return f"best epoch by {monitored(pieces.job, pieces.manifest)}"
    return "the last epoch is kept, for no validation image has a label"


def few_notes(pieces: Pieces) -> list[Note]:
    """What a handful of validation images cannot tell."""
    manifest, settings = pieces.manifest, pieces.job.settings
    images = len(manifest.labelled(VALIDATION))
    if not images or images >= max(HANDFUL, LEAST):
        return []
    said = []
    if images < HANDFUL:
        uses = "the best epoch" + (" and early stopping" if settings.early_stopping else "")
        moved = "" if monitored(pieces.job, manifest) == "loss" else f", {uses} with it"
        said.append(f"one of them moves a figure by {100 / images:.1f} points{moved}")
    if settings.calibrate:
        fitted = can_calibrate(manifest, images)
        said.append("thresholds are fitted to them" if fitted else "no temperature is fitted")
    told = f"only {images} labelled validation images: {'; '.join(said)}"
    return [Note("warning", told, WARNING)] * bool(said)


def head_name(pieces: Pieces, lesson: Lesson) -> str:
    """The head in words."""
    own = pieces.job.config["head"]["name"]
    return str(own) if lesson.borrowed is None else "projector, then the teacher's, which stays"


def head_notes(head: HeadReport, class_names: Sequence[str]) -> list[Note]:
    """What the head took over from an earlier run, and what is new."""
    if not head.source:
        return []
    kept = {*head.kept}
    new = [name for name in class_names if name not in kept]
    if not head.kept:
        return [Note("", f"all new: {head.why} ({head.source})")]
    if not new:
        told = f"taken over from {head.source}: all these classes are among its own"
        return [Note("", told)]
    return [
        Note("", f"rows of {len(head.kept)} classes are those of {head.source}: "
             f"{some_names(head.kept)}; new are {some_names(new)}")
    ]  # fmt: skip


def backbone_notes(pieces: Pieces) -> list[Note]:
    """The network, and what its weights file gave."""
    values, report = pieces.job.config["backbone"], pieces.loaded
    name = values.get("constructor") or values["name"]
    missing = [name for name in report.missing if not name.startswith("head_")]
    total = count(pieces.student.model.variables)
    found = [
        Note("backbone", f"{name} at {pieces.student.resize.size} px, {total:,} numbers, weights "
             f"{Path(report.source).name}"),
        Note("", f"weights {report.source}: {len(report.loaded)} layers loaded, {len(missing)} "
             f"missing, {len(report.skipped)} of the file unused", EXPERT),
    ]  # fmt: skip
    if missing:
        absent = f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}"
        told = f"{len(missing)} layers of the network are not in its weights file: {absent}"
        found += [Note("warning", told, WARNING)] * bool(report.loaded)
    return found


def phase_tables(plan: Plan) -> list[Said]:
    """How long and how fast the phases are, and for experts a table of blocks of each."""
    shown = plan.phases[:MOST_PHASES]
    if not shown:
        return []
    found: list[Said] = [Table(PHASES, tuple(phase_row(plan, phase) for phase in shown))]
    if len(plan.phases) > MOST_PHASES:
        found.append(Note("", f"… {len(plan.phases) - MOST_PHASES} more phases"))
    total = count(plan.lesson.student.model.variables)
    for phase in shown:
        told = f"{phase.phase.name}: {phase.trained:,} of {total:,} numbers"
        found.append(Note(f"phase {phase.index + 1}", told, EXPERT))
        found.append(block_table.table(phase.blocks))
    return found


def phase_row(plan: Plan, phase: PhasePlan) -> tuple[str, ...]:
    """The cells of a phase."""
    rate = plan.pieces.job.optimizer.scaled_rate(phase.order.batch_size) * phase.phase.rate
    span = [rate * multiplier for multiplier in phase.rates.values()] or [0.0]
    return (
        f"phase {phase.index + 1}", phase.phase.name, f"{phase.phase.epochs:.3g}",
        f"{phase.total_steps:,}", block_table.rate_text((min(span), max(span))),
        f"{phase.trained:,}", cache_text(phase),
    )  # fmt: skip


def cache_text(phase: PhasePlan) -> str:
    """Where the outputs of the frozen part are kept, and their size."""
    if phase.cut.prefix is None:
        return ""
    tables = phase.places.tables
    return "in each step" if tables is None else f"kept, {tables}"


def memory_note(plan: Plan) -> Note:
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
    return Note(
        "memory",
        f"{files.megabytes(places.budget.size)} may be kept: {', '.join(owners)}"
        f"{told and f'; teacher outputs {told}'}",
        EXPERT,
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
    if counts[low] == counts[high]:
        return f"{counts[low]} training images a class"
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


def scan_notes(manifest: Manifest) -> list[Note]:
    """What the scan found: sizes for experts, what is wrong, and what was done with it."""
    report: Mapping[str, Any] = manifest.report
    skipped, same = report.get("skipped") or [], report.get("duplicates") or []
    found = [Note("", str(report["sizes"]), EXPERT)] if report.get("sizes") else []
    if skipped:
        first = ", ".join(f"{harmless(i)} ({harmless(r)})" for i, r in skipped[:NAMED])
        more = ", …" if len(skipped) > NAMED else ""
        told = f"{len(skipped)} unreadable, skipped: {first}{more}"
        found.append(Note("warning", told, WARNING))
    if same:
        first = ", ".join(f"{harmless(a)} = {harmless(b)}" for a, b in same[:2])
        told = f"{len(same)} the same across splits: {first}"
        found.append(Note("warning", told, WARNING))
    notes = [str(note) for note in (report.get("notes") or [])]
    found += [Note("", note) for note in notes[:NOTED]]
    return found + [Note("", note, EXPERT) for note in notes[NOTED:]]


def drawn_schedule(plan: Plan) -> list[Note]:
    """The learning rate of each phase as a line of bars."""
    found = []
    for phase in plan.phases:
        values, total = phase.rate_table, phase.total_steps
        shown = np.interp(np.linspace(0, total - 1, DRAWN), np.arange(total), values)
        top = max(float(values.max()), 1e-12)
        line = "".join(SPARKS[min(7, int(v / top * 7.999))] for v in shown)
        found.append(Note(f"rate {phase.index + 1}", f"{line} {values[0]:.2g} … {top:.2g}"))
    return found
