"""Bring student and teacher together: what the method builds, whether the teacher knows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tlcli.contracts.backbone import HeadReport
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.contracts.distillation import NO_STATE, Method, Shape, Shapes, shape_text
from tlcli.contracts.teacher import BuiltTeacher, Target
from tlcli.distill import peers
from tlcli.distill.lesson import Lesson
from tlcli.distill.maps import tapped
from tlcli.distill.pieces import Pieces
from tlcli.distill.sorted_maps import GivenMaps, SortedMaps
from tlcli.distill.teaching import NoTeacher, Taught, Teaching
from tlcli.errors import ConfigError
from tlcli.evaluation.metrics import new_scores
from tlcli.models import borrowed_head
from tlcli.models.by_name import copy_by_name
from tlcli.models.graph.trace import layer_output, layer_paths
from tlcli.models.norms import is_batch_norm
from tlcli.models.student import Student, build_student, with_outputs

# A teacher this many times better than chance has learnt something.
ABOVE_CHANCE = 1.2


def attach(pieces: Pieces) -> Lesson:
    """Build the teacher and the method's connectors, and look whether the teacher knows.

    Raises:
        ConfigError: Teacher, method, student and data do not fit, or the teacher guesses.
        DataError: A teacher that cannot be read.
    """
    job, student, method = pieces.job, pieces.student, pieces.job.distillation
    if not (method.distils or job.teacher.is_teacher):
        return Lesson(student, method, NO_STATE, NoTeacher(), head=pieces.head)
    if "images" in method.needs:
        peers.check(pieces)
    borrowed: dict[str, Any] | None = None
    fixed: tuple[str, ...] = ()
    head = pieces.head
    with pieces.strategy.scope():
        built = job.teacher.build(target_of(pieces)) if job.teacher.is_teacher else None
        if method.replaces_head:
            student, borrowed, fixed, head = with_borrowed_head(pieces, built)
        shapes = shapes_of(pieces, student, built)
        method.checked(shapes)
        state = method.state(shapes)
        given = given_maps(method, shapes)
        if given.shapes or method.replaces_head:
            method = SortedMaps(method, given)
            student = with_maps(student, method)
    lesson = Lesson(student, method, state, NoTeacher(), borrowed, fixed, head)
    if built is None:
        return lesson
    bridges = pieces.job.distillation.bridges(shapes)
    maps = map_lines(student.taps, built, bridges, shapes)
    return replace(lesson, teacher=taught(pieces, built, list(state.trainable_variables), maps))


def taught(pieces: Pieces, built: BuiltTeacher, adapters: list[Any], maps: list[str]) -> Teaching:
    """The teacher in use, measured on the student's own pipeline."""
    method = str(pieces.job.config["distillation"]["name"])
    return Taught(built, adapters, method, accuracy_of(pieces, built), tuple(maps))


def map_lines(
    taps: tuple[str, ...], built: BuiltTeacher, bridges: list[tuple[int, int, str]], shapes: Shapes
) -> list[str]:
    """Student's and teacher's compared layers, their shapes and their bridge, a line a pair."""
    ours, theirs = shapes.student_features, shapes.teacher_features
    return [
        f"{taps[i]} {shape_text(ours[i])}, teacher's {built.taps[j]} {shape_text(theirs[j])}: {how}"
        for i, j, how in bridges
    ]


def target_of(pieces: Pieces) -> Target:
    """What the teacher has to fit."""
    job, ours = pieces.job, map_shapes(pieces.student)

    def compared(kind: str, theirs: Sequence[Shape]) -> list[int] | None:
        pairs = job.distillation.compared(kind, ours, theirs)
        return None if pairs is None else sorted({place for _, place in pairs})

    return Target(
        manifest=pieces.manifest, side=pieces.student.resize.size,
        rows=pieces.manifest.rows(TRAIN), views=pieces.train_views, needs=job.distillation.needs,
        tables=pieces.tables, plain=pieces.plain_views, layers=job.distillation.teacher_taps,
        compared=compared,
    )  # fmt: skip


def with_borrowed_head(
    pieces: Pieces, built: BuiltTeacher | None
) -> tuple[Student, dict[str, Any], tuple[str, ...], HeadReport]:
    """The student with a projector and the teacher's head, which no phase trains.

    Returns:
        The student, what its head is made of, the names of the head's layers, and what the
        projector begins with.

    Raises:
        ConfigError: Teacher and method do not allow it.
    """
    method, old = pieces.job.distillation, pieces.student
    network = None if built is None else built.network
    if network is None or network.features is None:
        label = built.label if built is not None else "no teacher"
        raise ConfigError(
            "teacher", f"simkd puts the teacher's head on the student, and {label} has none to "
            "lend", "Give teacher=run with a run that was not trained by simkd.",
        )  # fmt: skip
    if "preactivations" in method.needs:
        raise ConfigError(
            "distillation.methods", "simkd does not go with a method on maps before activation",
            "Leave ofd or review_kd out.",
        )  # fmt: skip
    facts = {
        "head": dict(network.head), "classes": int(network.logits.shape[-1]),
        "places": list(network.places), "channels": int(network.features.shape[-1]),
        **(method.projector or {}),
    }  # fmt: skip
    classes = len(pieces.manifest.class_names)
    head = borrowed_head.from_facts(facts)
    student = build_student(pieces.job.backbone, head, classes, old.resize, old.taps)
    copy_by_name(old.model, student.model, "student")
    kept = pieces.job.backbone.load_head(student.model, facts, pieces.manifest.class_names)
    several = pieces.replicas > 1 and pieces.job.hardware.batch_norm == "sync"
    fixed = []
    for layer in student.model.layers:
        if layer.name in network.head_layers:
            layer.trainable = False
            fixed.append(layer.name)
            theirs = network.head_layers[layer.name].variables
            for variable, value in zip(layer.variables, theirs, strict=True):
                variable.assign(value)
        elif is_batch_norm(layer):
            layer.synchronized = several
    return student, facts, tuple(fixed), kept


def map_shapes(student: Student) -> tuple[Any, ...]:
    """Shape of each of the student's maps, as it is built."""
    return tuple(tuple(map(int, t.shape[1:])) for t in student.extended.outputs[2:])


def given_maps(method: Method, shapes: Shapes) -> GivenMaps:
    """Which of the student's maps its network gives: those that the method looks at."""
    ours, theirs = shapes.student_features, shapes.teacher_features
    places = []
    for kind in ("features", "preactivations"):
        pairs = method.compared(kind, ours, theirs)
        every = range(len(ours)) if pairs is None else {place for place, _ in pairs}
        places.append(tuple(sorted(every)))
    return GivenMaps(ours, *places)


def with_maps(student: Student, method: SortedMaps) -> Student:
    """The student, as it is built, that gives the maps that a method looks at and no other."""
    given = method.given
    first, maps = student.extended.outputs[:2], student.extended.outputs[2:]
    found = [maps[place] for place in given.features]
    if given.preactivations:
        taps = [student.taps[place] for place in given.preactivations]
        stages = layer_paths(student.model, taps, "distillation.student_layers")
        found += tapped(student.model, method.needs, "student", stages)[0][len(stages) :]
    if method.replaces_head:
        found.append(layer_output(student.model, borrowed_head.PROJECTED))
    return with_outputs(student, [*first, *found])


def shapes_of(pieces: Pieces, student: Student, built: BuiltTeacher | None) -> Shapes:
    """Sizes of both models and facts of the training images.

    Args:
        pieces: Of the training.
        student: As it is built, with all its maps.
        built: The teacher, or None.
    """
    rows, manifest = pieces.manifest.rows(TRAIN), pieces.manifest
    known: dict[str, Any] = {} if built is None else built.shapes
    theirs: Any = () if built is None else tuple(built.maps)
    pooled = known.get("teacher_embedding", (0,))
    needs_networks = "images" in pieces.job.distillation.needs
    return Shapes(
        classes=len(manifest.class_names), samples=len(rows), teacher_embedding=pooled[0],
        student_embedding=int(student.extended.outputs[1].shape[1]),
        student_features=map_shapes(student),
        teacher_features=theirs,
        labels=None if manifest.multi_label else manifest.labels[rows].astype(np.int32),
        multi_label=manifest.multi_label,
        teacher_norms=() if built is None else tuple(built.norms),
        networks=peers.Networks(pieces, student.model) if needs_networks else None,
    )  # fmt: skip


def accuracy_of(pieces: Pieces, built: BuiltTeacher) -> tuple[float, str] | None:
    """Accuracy of the teacher and on what; None where no labelled image has its outputs.

    Raises:
        ConfigError: It is hardly better than chance, or below `teacher.minimum_accuracy`.
    """
    manifest, least = pieces.manifest, pieces.job.teacher.minimum_accuracy
    name, rows, logits = known_logits(pieces, built)
    if logits is None:
        if least:
            raise ConfigError(
                "teacher.minimum_accuracy", f"got {least}, and no labelled image has its outputs",
                "Give labelled validation images, or null.",
            )  # fmt: skip
        return None
    scores = new_scores(manifest)
    scores.update(logits, manifest.labels[rows])
    figure = "mean_average_precision" if manifest.multi_label else "accuracy"
    value, told = float(scores.result()[figure]), f"{name} {figure.replace('_', ' ')}"
    chance = (
        float(manifest.labels[rows].mean())
        if manifest.multi_label
        else 1 / len(manifest.class_names)
    )
    if value <= ABOVE_CHANCE * chance if least is None else value < least:
        wanted = f"chance is {chance:.4f}" if least is None else f"{least} was asked for"
        raise ConfigError(
            "teacher", f"{built.label} has {told} {value:.4f} on these images, and {wanted}",
            built.remedy,
        )  # fmt: skip
    return value, told


def known_logits(pieces: Pieces, built: BuiltTeacher) -> tuple[str, Any, Any]:
    """Name and labelled rows of the first split that the teacher can judge, and its logits."""
    for split, name in ((VALIDATION, "validation"), (TRAIN, "training")):
        rows = pieces.manifest.labelled(split)
        logits = built.logits(pieces.plain_views, rows) if len(rows) else None
        if logits is not None:
            return name, rows, logits
    return "", None, None
