"""Distillation end to end: the teacher of a run, what its method builds, and what came of it."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.contracts.distillation import Batch, Outputs, Shapes, shape_text
from tlcli.contracts.teacher import Target
from tlcli.distill import peers
from tlcli.distill.pieces import Run
from tlcli.errors import ConfigError
from tlcli.evaluation.metrics import new_scores
from tlcli.models import borrowed_head
from tlcli.models.by_name import copy_by_name
from tlcli.models.frozen.place import free_memory
from tlcli.models.graph.trace import layer_output, layer_paths
from tlcli.models.norms import is_batch_norm
from tlcli.models.student import build_student

# A teacher this many times better than chance has learnt something.
ABOVE_CHANCE = 1.2
REMEDY = "Check its classes and preprocessing, or train it longer."


class Attached:
    """A run's teacher.

    Attributes:
        built: What the teacher option made.
        accuracy: Accuracy (mean average precision where classes are independent) and on what; None
            where no labelled image is there to measure it on.
        maps: Lines of the plan: which maps are compared, and how they meet.
        tabular: Whether its outputs may be computed once.
    """

    def __init__(self, built: Any, adapters: Any, method: str) -> None:
        self.built, self.adapters, self.method = built, adapters, method
        self.tabular: bool = built.tabular
        self.accuracy: tuple[float, str] | None = None
        self.maps: list[str] = []

    def outputs(self, batch: dict[str, Any]) -> Outputs:
        """Signals of a batch inside a step."""
        found: Outputs = self.built.outputs(batch)
        return found

    def table(self, run: Run, rows: Any, count: int) -> dict[str, Any]:
        """Signals of `count` views of each row by name, arrays (count * rows, ...)."""
        found: dict[str, Any] = self.built.compute(run.train_views, rows, count)
        return found

    def feed(self) -> Any:
        """What adds the teacher's signals to a batch inside tf.data, or None."""
        return self.built.feed()

    def plan_lines(self) -> list[str]:
        """The teacher and the method, for the plan."""
        figure = "accuracy unknown, for no image has a label"
        if self.accuracy is not None:
            value, where = self.accuracy
            figure = f"{where} {value:.4f}"
        numbers = sum(int(np.prod(v.shape)) for v in self.adapters)
        seen = ", ".join(name.removeprefix("teacher_") for name in self.built.names)
        return [
            f"teacher    {self.built.label}: {figure}; {self.built.classes}",
            f"           {self.method} on {seen}; adapters {numbers:,} numbers",
            *self.maps,
        ]

    def reference(self) -> dict[str, Any]:
        """Where the teacher came from and how good it is, for metadata.json."""
        found: dict[str, Any] = self.built.reference()
        value, figure = self.accuracy or (None, None)
        return {**found, "figure": figure, "value": value}


class SortedMaps:
    """A method whose student gives all its maps in one list.

    They are: after activation, before it, and the projected one that a borrowed head takes.

    Attributes:
        method: The method.
        stages: How many of the maps are after activation.
        hard_weight: The method's.
    """

    def __init__(self, method: Any, stages: int) -> None:
        self.method, self.stages, self.hard_weight = method, stages, method.hard_weight

    def _sorted(self, student: Outputs) -> Outputs:
        maps, end = student.features, len(student.features) - self.method.replaces_head
        return dataclasses.replace(
            student, features=maps[: self.stages], preactivations=maps[self.stages : end],
            head_map=maps[-1] if self.method.replaces_head else None,
        )  # fmt: skip

    def loss(self, batch: Batch, student: Outputs, teacher: Any, state: Any = None) -> Any:
        """The method's loss, float32 (batch,)."""
        return self.method.loss(batch, self._sorted(student), teacher, state)

    def terms(self, batch: Batch, student: Outputs, teacher: Any, state: Any) -> dict[str, Any]:
        """The method's terms by name."""
        found: dict[str, Any] = self.method.terms(batch, self._sorted(student), teacher, state)
        return found

    def update(self, batch: Batch, student: Outputs, teacher: Any, state: Any = None) -> None:
        """Move the method's memories."""
        self.method.update(batch, self._sorted(student), teacher, state)

    def advance(self, batch: Batch, state: Any = None) -> Any:
        """What follows the student, by the method."""
        return self.method.advance(batch, state)


def attach(run: Run) -> None:
    """Build the run's teacher and its method's connectors, and look whether the teacher knows.

    Raises:
        ConfigError: Teacher, method, student and data do not fit, or the teacher guesses.
        DataError: A teacher that cannot be read.
    """
    method, job = run.method, run.job
    if "images" in method.needs:
        peers.check(run)
    with run.strategy.scope():
        built = job.teacher.build(target_of(run)) if job.teacher.is_teacher else None
        if method.replaces_head:
            borrow_head(run, built)
        stages = len(run.student.taps)
        if "preactivations" in method.needs:
            add_preactivations(run)
        shapes = shapes_of(run, built, stages)
        method.checked(shapes)
        run.method_state = method.state(shapes)
        if method.replaces_head:
            add_output(run.student, layer_output(run.student.model, borrowed_head.PROJECTED))
        if method.replaces_head or "preactivations" in method.needs:
            run.method = SortedMaps(method, stages)
    if built is None:
        return
    adapters = run.method_state.trainable_variables if run.method_state is not None else []
    run.teacher = Attached(built, adapters, job.config["distillation"]["name"])
    run.teacher.maps = map_lines(run.student.taps, built, method, shapes)
    check_teacher(run)


def map_lines(taps: tuple[str, ...], built: Any, method: Any, shapes: Shapes) -> list[str]:
    """Student's and teacher's compared layers, their shapes and their bridge, a line a pair."""
    ours, theirs = shapes.student_features, shapes.teacher_features
    return [
        f"           {taps[i]} {shape_text(ours[i])}, teacher's {built.taps[j]} "
        f"{shape_text(theirs[j])}: {how}"
        for i, j, how in method.bridges(shapes)
    ]


def target_of(run: Run) -> Target:
    """What the run's teacher has to fit."""
    return Target(
        manifest=run.manifest, side=run.student.resize.size, rows=run.manifest.rows(TRAIN),
        views=run.train_views, needs=run.method.needs, tables=run.tables,
        memory=run.job.settings.cache_memory * free_memory(), plain=run.plain_views,
        layers=getattr(run.method, "teacher_layers", None),
    )  # fmt: skip


def borrow_head(run: Run, built: Any) -> None:
    """Rebuild the student with a projector and the teacher's head, which no phase trains.

    Raises:
        ConfigError: Teacher and method do not allow it.
    """
    network = getattr(built, "network", None)
    if network is None or network.features is None:
        label = built.label if built is not None else "no teacher"
        raise ConfigError(
            "teacher", f"simkd puts the teacher's head on the student, and {label} has none to "
            "lend", "Give teacher=run with a run that was not trained by simkd.",
        )  # fmt: skip
    if "preactivations" in run.method.needs:
        raise ConfigError(
            "distillation.methods", "simkd does not go with a method on maps before activation",
            "Leave ofd or review_kd out.",
        )  # fmt: skip
    run.borrowed = {
        "head": dict(network.head), "classes": int(network.logits.shape[-1]),
        "places": list(network.places), "channels": int(network.features.shape[-1]),
        **run.method.projector,
    }  # fmt: skip
    old, head = run.student, borrowed_head.from_facts(run.borrowed)
    classes = len(run.manifest.class_names)
    run.student = build_student(run.job.backbone, head, classes, old.resize, old.taps)
    copy_by_name(old.model, run.student.model, "student")
    fixed = []
    for layer in run.student.model.layers:
        if layer.name in network.head_layers:
            layer.trainable = False
            fixed.append(layer.name)
            theirs = network.head_layers[layer.name].variables
            for variable, value in zip(layer.variables, theirs, strict=True):
                variable.assign(value)
        elif is_batch_norm(layer):
            several = run.strategy.num_replicas_in_sync > 1
            layer.synchronized = several and run.job.hardware.batch_norm == "sync"
    run.fixed = tuple(fixed)


def add_output(student: Any, tensor: Any) -> None:
    """Let the student's extended model give one tensor more."""
    outputs = [*student.extended.outputs, tensor]
    student.extended = keras.Model(student.extended.inputs, outputs, name="student_extended")


def add_preactivations(run: Run) -> None:
    """Let the student's extended model also give its maps before their activations."""
    from tlcli.distill.maps import tapped

    student = run.student
    stages = layer_paths(student.model, student.taps, "distillation.student_layers")
    found, _, _ = tapped(student.model, run.method.needs, "student", stages)
    outputs = [*student.extended.outputs[:2], *found]
    student.extended = keras.Model(student.extended.inputs, outputs, name="student_extended")


def shapes_of(run: Run, built: Any, stages: int) -> Shapes:
    """Sizes of both models and facts of the training images.

    Args:
        run: With its student.
        built: The teacher, or None.
        stages: Number of the student's maps after activation.
    """
    rows, manifest = run.manifest.rows(TRAIN), run.manifest
    maps: Any
    _, embedding, *maps = (tuple(map(int, t.shape[1:])) for t in run.student.extended.outputs)
    theirs: dict[str, Any] = {} if built is None else built.shapes
    features = tuple(s for name, s in theirs.items() if name.startswith("teacher_feature"))
    pooled = theirs.get("teacher_embedding", (0,))
    return Shapes(
        classes=len(manifest.class_names), samples=len(rows), student_embedding=embedding[0],
        teacher_embedding=pooled[0], student_features=tuple(maps[:stages]),
        teacher_features=features,
        labels=None if manifest.multi_label else manifest.labels[rows].astype(np.int32),
        multi_label=manifest.multi_label, teacher_norms=() if built is None else built.norms,
        networks=peers.Networks(run) if "images" in run.method.needs else None,
    )  # fmt: skip


def check_teacher(run: Run) -> None:
    """Measure the teacher on the student's own pipeline.

    Raises:
        ConfigError: It is hardly better than chance, or below `teacher.minimum_accuracy`.
    """
    attached, manifest = run.teacher, run.manifest
    name, rows, logits = known_logits(run, attached.built)
    least = run.job.teacher.minimum_accuracy
    if logits is None:
        if least:
            raise ConfigError(
                "teacher.minimum_accuracy", f"got {least}, and no labelled image has its outputs",
                "Give labelled validation images, or null.",
            )  # fmt: skip
        return
    scores = new_scores(manifest)
    scores.update(logits, manifest.labels[rows])
    figure = "mean_average_precision" if manifest.multi_label else "accuracy"
    value = float(scores.result()[figure])
    attached.accuracy = (value, f"{name} {figure.replace('_', ' ')}")
    chance = (
        float(manifest.labels[rows].mean())
        if manifest.multi_label
        else 1 / len(manifest.class_names)
    )
    if value <= ABOVE_CHANCE * chance if least is None else value < least:
        wanted = f"chance is {chance:.4f}" if least is None else f"{least} was asked for"
        raise ConfigError(
            "teacher", f"{attached.built.label} has {attached.accuracy[1]} {value:.4f} on these "
            f"images, and {wanted}", getattr(attached.built, "remedy", REMEDY),
        )  # fmt: skip


def known_logits(run: Run, built: Any) -> tuple[str, Any, Any]:
    """Name and labelled rows of the first split that the teacher can judge, and its logits."""
    for split, name in ((VALIDATION, "validation"), (TRAIN, "training")):
        rows = run.manifest.labelled(split)
        logits = built.logits(run.plain_views, rows) if len(rows) else None
        if logits is not None:
            return name, rows, logits
    return "", None, None


# ---- what came of it ------------------------------------------------------------------------


# ---- control --------------------------------------------------------------------------------
