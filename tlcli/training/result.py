"""The end of a training: the chosen weights, calibrated, measured and written."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TEST, VALIDATION
from tlcli.distill import likeness
from tlcli.distill.fidelity import fidelity, fidelity_line, measured_rows
from tlcli.distill.pieces import Pieces
from tlcli.evaluation.calibration import fit_temperature, fit_thresholds
from tlcli.evaluation.classifier import classifier, logits_of, scored
from tlcli.evaluation.metrics import Scores
from tlcli.evaluation.monitor import better
from tlcli.models import fused_batch_norm, image_dropout, lora
from tlcli.models.graph.cost import parameters
from tlcli.runs import best_of, checkpoint
from tlcli.runs.folder import RunFolder
from tlcli.system import console
from tlcli.training.kept import values_of
from tlcli.training.plan import Plan
from tlcli.training.progress import Outcome


@dataclass(frozen=True)
class Measured:
    """A network's figures and what calibrates it.

    Attributes:
        figures: By split, as in metrics.json.
        facts: Temperature or thresholds, for metadata.json.
        test: Scores on the test images, or None.
        logits: On the test images, or else those of validation; None without either.
    """

    figures: dict[str, Any]
    facts: dict[str, Any]
    test: Any
    logits: Any


@dataclass(frozen=True)
class Result:
    """A run as it was written.

    Attributes:
        figures: metrics.json.
        test: Scores on the test images, or None.
        metadata: metadata.json.
    """

    figures: dict[str, Any]
    test: Any
    metadata: Mapping[str, Any]


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
    rows = measured_rows(pieces.manifest)
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
    folder.write(model, pieces.job.config, found.figures, metadata)
    return Result(found.figures, found.test, metadata)


def measured(pieces: Pieces, model: Any) -> Measured:
    """Figures of a model on validation and test, and what calibrates it."""
    manifest, views = pieces.manifest, pieces.plain_views
    validation, test = (manifest.labelled(split) for split in (VALIDATION, TEST))
    figures: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    scores = logits = None
    call = classifier(model)
    if len(validation):
        batches = list(logits_of(call, views, validation))
        figures["validation"] = scored(batches, manifest, validation).result()
        logits = np.concatenate(batches)
        if pieces.job.settings.calibrate:
            facts = calibration(logits, manifest.labels[validation], manifest.multi_label)
    if len(test):
        batches = list(logits_of(call, views, test))
        divisor, least = facts.get("temperature", 1.0), facts.get("thresholds", 0.5)
        scores = scored(batches, manifest, test, divisor, least)
        logits = np.concatenate(batches)
        figures["test"] = scores.result()
    return Measured(figures, facts, scores, logits)


def described(pieces: Pieces, model: Any, found: Measured) -> dict[str, Any]:
    """What metadata.json says of any network of a run."""
    manifest, settings = pieces.manifest, pieces.job.settings
    return {
        "class_names": list(manifest.class_names),
        "multi_label": manifest.multi_label,
        "resize": pieces.student.resize.as_dict(),
        "head": None,
        "abstain_below": settings.abstain_below,
        **found.facts,
        "seed": settings.seed,
        "data_fingerprint": manifest.own or manifest.fingerprint,
        "data_root": manifest.root,
        "parameters": parameters(model),
        "metrics": dict(found.figures),
        "versions": versions(),
        "git_commit": git_commit(),
    }


@dataclass(frozen=True)
class Learnt:
    """A network of mutual learning at its best.

    Attributes:
        name: "student" or "peer_1", …
        backbone: Values of its backbone option.
        weights: Its variables, arrays.
        figure: Its best validation figure, or None.
    """

    name: str
    backbone: Mapping[str, Any]
    weights: list[Any]
    figure: float | None


def peer_weights(plan: Plan, outcome: Outcome) -> list[Learnt]:
    """The student and its peers at their best; empty where there are none."""
    peers, progress = plan.lesson.state.peers, outcome.progress
    if not peers:
        return []
    student = Learnt(
        "student", plan.pieces.job.config["backbone"],
        values_of(plan.lesson.student.model.variables), progress.best,
    )  # fmt: skip
    kept = zip(peers, outcome.kept.peers, progress.peers, strict=True)
    return [student, *(Learnt(f"peer_{number}", peer.backbone, weights, figure)
                       for number, (peer, weights, figure) in enumerate(kept, 1))]  # fmt: skip


def write_peers(
    plan: Plan, outcome: Outcome, networks: list[Learnt], folder: RunFolder
) -> dict[str, Any] | None:
    """Write each network into RUN/peers, and put the best of the student's kind into the student.

    Args:
        plan: Of the training.
        outcome: What came of it.
        networks: See `peer_weights`.
        folder: Of the run.

    Returns:
        What metadata.json says of them, or None without peers.
    """
    if not networks:
        return None
    metric, student = outcome.monitor, networks[0]
    alike = [one for one in networks if same_kind(one.backbone, student.backbone)]
    # The student is last, so that of equal ones it is kept.
    ordered = [*alike[1:], student]
    best = ordered[best_of.best_place(metric, [one.figure for one in ordered])]
    for variable, value in zip(plan.lesson.student.model.variables, best.weights, strict=True):
        variable.assign(value)
    for one in networks if folder.is_chief else ():
        _write_network(plan.pieces, one, folder.inside(f"peers/{one.name}"))
    figures = {one.name: one.figure for one in networks}
    return {"figure": f"validation {metric}", **figures, "shipped": best.name}


def same_kind(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two backbones are one network, wherever their first weights came from."""
    one, two = ({k: v for k, v in each.items() if k != "weights"} for each in (first, second))
    return one == two


def _write_network(pieces: Pieces, network: Learnt, folder: RunFolder) -> None:
    config = {**pieces.job.config, "backbone": dict(network.backbone)}
    classes = len(pieces.manifest.class_names)
    policy = keras.config.dtype_policy()
    model = checkpoint.rebuild(config, {"head": None}, classes, pieces.student.resize)
    keras.config.set_dtype_policy(policy)
    for variable, value in zip(model.variables, network.weights, strict=True):
        variable.assign(value)
    found = measured(pieces, model)
    folder.write(model, config, found.figures, described(pieces, model, found))


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


def calibration(logits: Any, labels: Any, multi_label: bool) -> dict[str, Any]:
    """Temperature (one label) or thresholds (several) fitted on validation."""
    if multi_label:
        return {"thresholds": fit_thresholds(logits, labels)}
    temperature = fit_temperature(logits, labels)
    after = Scores(logits.shape[1])
    before = Scores(logits.shape[1])
    before.update(logits, labels)
    after.update(logits / temperature, labels)
    return {
        "temperature": temperature,
        "validation_ece_before": before.result()["ece"],
        "validation_ece_after": after.result()["ece"],
    }


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


def closing_lines(result: Result, classes: tuple[str, ...], run_dir: Path) -> list[str]:
    """Figures, weak classes, the run folder and what to type next."""
    found, metadata = result.figures, result.metadata
    lines = []
    if "test" in found:
        lines.append(f"test       {console.figures_line(found['test'], len(classes))}")
        worst = console.worst_classes(result.test.per_class(), classes)
        lines.append(f"worst      {worst}")
    elif "validation" in found:
        lines.append(f"validation {console.figures_line(found['validation'], len(classes))}")
    if metadata["peers"]:
        told = {k: v for k, v in metadata["peers"].items() if k not in ("figure", "shipped")}
        lines.append("peers      " + best_of.told(
            metadata["peers"]["figure"].removeprefix("validation "), told,
            metadata["peers"]["shipped"]))  # fmt: skip
    if "temperature" in metadata:
        lines.append(
            f"calibrated temperature {metadata['temperature']:.3f}: validation ECE "
            f"{metadata['validation_ece_before']:.4f} -> {metadata['validation_ece_after']:.4f}"
        )
    if metadata["fidelity"]:
        lines.append(fidelity_line(metadata["fidelity"]))
        lines += likeness.lines(metadata["fidelity"])
    given = quoted(str(run_dir))
    lines += [
        f"run        {run_dir}",
        f"next       tl eval checkpoint={given}",
        f"           tl predict photo.jpg checkpoint={given}",
    ]
    return lines


def quoted(text: str) -> str:
    """A word as a shell takes it."""
    import shlex

    return shlex.quote(text)


def versions() -> dict[str, str]:
    """What the weights were made with."""
    return {
        "python": platform.python_version(), "tensorflow": tf.__version__,
        "keras": keras.__version__, "numpy": np.__version__,
    }  # fmt: skip


def git_commit() -> str | None:
    """Commit of the folder the command was typed in, or None outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
