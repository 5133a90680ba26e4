"""The end of a training: the chosen weights, calibrated, measured and written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tlcli.contracts.data import VALIDATION
from tlcli.distill.fidelity import fidelity, measured_rows
from tlcli.evaluation.classifier import classifier, logits_of, scored
from tlcli.evaluation.monitor import better
from tlcli.models import fused_batch_norm, image_dropout, lora
from tlcli.runs import checkpoint
from tlcli.runs.folder import RunFolder
from tlcli.training.kept import values_of
from tlcli.training.measured import described, measured
from tlcli.training.peer_result import peer_weights, write_peers
from tlcli.training.plan import Plan
from tlcli.training.progress import Outcome


@dataclass(frozen=True)
class Result:
    """A run as it was written.

    Attributes:
        figures: metrics.json.
        test: Scores on the test images, or None.
        metadata: metadata.json.
        model: What was written: uint8 images to logits.
    """

    figures: dict[str, Any]
    test: Any
    metadata: Mapping[str, Any]
    model: Any


def written(plan: Plan, outcome: Outcome, folder: RunFolder, seconds: float) -> Result:
    """Choose, measure and write the run of a training that is over.

    Args:
        plan: Of the training; the student holds its best weights.
        outcome: What came of it.
        folder: Where to write.
        seconds: How long it took.
    """
    pieces, lesson = plan.pieces, plan.lesson
    network = lesson.student.model
    fused_batch_norm.use_keras(network)
    image_dropout.use_keras(network)
    mixing = choose_mixing(plan, outcome)
    networks = peer_weights(plan, outcome) if mixing is None else []
    peers = write_peers(plan, outcome, networks, folder)
    model = plain_model(plan)
    found = measured(pieces, model)
    built = lesson.teacher.built
    rows = measured_rows(pieces.manifest) if found.rows is None else found.rows
    like = fidelity(pieces, built, model, rows, found.logits) if built is not None else None
    metadata = {
        **described(pieces, model, found),
        "head": lesson.borrowed,
        "best_epoch": outcome.progress.best_epoch,
        "mixing": mixing,
        "teacher": lesson.teacher.reference(),
        "fidelity": like or None,
        "peers": peers,
        "seconds": round(seconds, 1),
    }
    folder.note_contents(pieces.manifest)
    folder.write(model, pieces.job.config, found.figures, metadata, found.predictions, found.known)
    return Result(found.figures, found.test, metadata, model)


def plain_model(plan: Plan) -> Any:
    """The student as the checkpoint will rebuild it: float32, low-rank factors merged."""
    pieces, network = plan.pieces, plan.lesson.student.model
    if keras.config.dtype_policy().name == "float32" and not lora.has_factors(network):
        return network
    facts = {"head": plan.lesson.borrowed}
    classes = len(pieces.manifest.class_names)
    model = checkpoint.rebuild(pieces.job.config, facts, classes, pieces.student.resize)
    for variable, value in zip(model.variables, lora.plain_values(network), strict=True):
        variable.assign(value)
    return model


def choose_mixing(plan: Plan, outcome: Outcome) -> float | None:
    """Mix start and end weights by the factor that validates best (WiSE-FT); None elsewhere."""
    pieces, network = plan.pieces, plan.lesson.student.model
    factors = pieces.job.finetune.mixing_factors
    rows = pieces.manifest.labelled(VALIDATION)
    if not factors or not len(rows):
        return None
    variables, monitor = network.variables, outcome.monitor
    start, end = outcome.kept.start, values_of(variables)
    best: tuple[float, float] | None = None
    for factor in sorted(factors, reverse=True):
        _mix(variables, start, end, factor)
        batches = logits_of(classifier(network), pieces.plain_views, rows)
        figure = scored(batches, pieces.manifest, rows).result()[monitor]
        if best is None or better(monitor, figure, best[0]):
            best = (figure, factor)
    assert best is not None
    _mix(variables, start, end, best[1])
    return best[1]


def _mix(variables: Any, start: Any, end: Any, factor: float) -> None:
    for variable, first, last in zip(variables, start, end, strict=True):
        if np.issubdtype(last.dtype, np.floating):
            variable.assign(first + factor * (last - first))
        else:
            variable.assign(last)
