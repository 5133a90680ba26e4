"""How like its teacher a student became."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlcli.contracts.data import TEST, VALIDATION, Manifest
from tlcli.contracts.teacher import BuiltTeacher
from tlcli.distill import likeness
from tlcli.distill.pieces import Pieces
from tlcli.evaluation.metrics import new_scores, softmax
from tlcli.models.frozen.network import compute


def fidelity(
    pieces: Pieces, built: BuiltTeacher, model: Any, rows: Any, ours: Any = None
) -> dict[str, Any]:
    """How like its teacher a student is on some images, and what both cost.

    Args:
        pieces: Data and views.
        built: The teacher.
        model: The trained student, uint8 images to logits.
        rows: Manifest rows, all of them labelled or none.
        ours: The student's logits on them, where they are known.

    Returns:
        `agreement` of decisions, `kl` from teacher to student in nats, `teacher_ece` and
        `student_ece`, accuracies, `class_change` of accuracy from teacher to student, `stage_cka`,
        parameters, FLOPs, bytes and latency of both (see likeness); figures without a source
        are left out, those of labels where there are none.
    """
    manifest, views = pieces.manifest, pieces.plain_views
    costs = likeness.costs("student", model)
    if built.classifier is not None:
        costs |= likeness.costs("teacher", built.classifier)
    theirs = built.logits(views, rows) if len(rows) else None
    if theirs is None:
        return costs
    if ours is None:
        ours = compute(model, views, rows, 1, 128)[0]
    ours = ours.astype(np.float32)
    found: dict[str, Any] = {"images": len(rows)}
    if manifest.multi_label or manifest.labels[rows[0]] >= 0:
        found |= against_labels(manifest, rows, theirs, ours)
    if built.classifier is not None and built.network.embedding is not None:
        found["stage_cka"] = likeness.stage_cka(views, rows, built.classifier, model)
    return {**found, **closeness(theirs, ours, manifest.multi_label), **costs}


def against_labels(manifest: Any, rows: Any, teacher: Any, student: Any) -> dict[str, Any]:
    """Accuracy and calibration of both, and by how much each class changed.

    Args:
        manifest: Of the images.
        rows: Their rows, labelled.
        teacher: Its logits (rows, classes).
        student: The same of the student.
    """
    found: dict[str, Any] = {}
    labels = manifest.labels[rows]
    for name, logits in (("teacher", teacher), ("student", student)):
        scores = new_scores(manifest)
        scores.update(logits, labels)
        figures = scores.result()
        kept = ("accuracy", "mean_average_precision", "ece")
        found |= {f"{name}_{k}": figures[k] for k in kept if k in figures}
    if not manifest.multi_label:
        changes = likeness.class_changes(teacher, student, labels, manifest.class_names)
        found["class_change"] = changes
    return found


def closeness(teacher: Any, student: Any, multi_label: bool) -> dict[str, float]:
    """Agreement of decisions and mean divergence from the teacher, in nats.

    Args:
        teacher: Logits (images, classes).
        student: The same of the student.
        multi_label: Whether each class is a decision of its own; divergences are then summed.
    """
    if multi_label:
        teacher, student = (np.stack([z, np.zeros_like(z)], -1) for z in (teacher, student))
    p, q = softmax(teacher), softmax(student)
    divergence = np.sum(p * (np.log(p + 1e-30) - np.log(q + 1e-30)), axis=-1)
    agreement = float((teacher.argmax(-1) == student.argmax(-1)).mean())
    per_image = divergence.sum(-1) if multi_label else divergence
    return {"agreement": agreement, "kl": float(per_image.mean())}


def fidelity_line(found: Mapping[str, Any]) -> str:
    """One line of the result."""
    cost = f"{found['student_parameters']:,} parameters"
    if found.get("teacher_parameters"):
        share = found["teacher_parameters"] / found["student_parameters"]
        cost += f", the teacher {share:.2f} x as many"
    if "agreement" not in found:
        return f"fidelity   {cost}"
    names = ("accuracy", "mean_average_precision")
    figures = [
        f"; {name.replace('_', ' ')} {found[f'student_{name}']:.4f} of the teacher's "
        f"{found[f'teacher_{name}']:.4f}"
        for name in names if f"teacher_{name}" in found
    ]  # fmt: skip
    return (
        f"fidelity   agrees with the teacher on {found['agreement']:.4f} of "
        f"{found['images']} images, KL {found['kl']:.4f}{''.join(figures[:1])}; {cost}"
    )


def control_lines(distilled: Mapping[str, Any], control: Mapping[str, Any]) -> list[str]:
    """Both students' figures side by side."""
    split = "test" if "test" in distilled else "validation"
    if split not in distilled:
        return []
    names = [n for n in ("accuracy", "mean_average_precision") if n in distilled[split]][:1]
    return [
        f"control    {split} {name.replace('_', ' ')} {control[split][name]:.4f} without the "
        f"teacher, {distilled[split][name]:.4f} with it "
        f"({distilled[split][name] - control[split][name]:+.4f})"
        for name in names
    ]


def measured_rows(manifest: Manifest) -> Any:
    """Labelled test rows; where there are none those of validation; then unlabelled ones."""
    found = [choose(split) for choose in (manifest.labelled, manifest.rows)
             for split in (TEST, VALIDATION)]  # fmt: skip
    return next((rows for rows in found if len(rows)), found[0])
