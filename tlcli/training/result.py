"""The end of a training: the chosen weights, calibrated, measured and written."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TEST, VALIDATION
from tlcli.distill import likeness
from tlcli.distill.fidelity import fidelity, fidelity_line, measured_rows
from tlcli.evaluation.calibration import fit_temperature, fit_thresholds
from tlcli.evaluation.classifier import classifier, score
from tlcli.evaluation.metrics import Scores
from tlcli.evaluation.monitor import better
from tlcli.models import fused_batch_norm, graph, image_dropout, lora
from tlcli.runs import best_of, checkpoint
from tlcli.system import console, files


def write(trainer: Any, seconds: float) -> dict[str, Any]:
    """Write the run of a trainer that has its best weights in the model; gives metrics.json."""
    run = trainer.shared
    fused_batch_norm.use_keras(run.student.model)
    image_dropout.use_keras(run.student.model)
    mixing = choose_mixing(trainer)
    networks = peer_weights(trainer) if mixing is None else []
    peers = write_peers(trainer, networks)
    model = plain_model(run)
    found, facts, trainer.test_scores, logits = measured(run, model)
    metadata = {
        **described(run, model, found, facts),
        "head": run.borrowed,
        "best_epoch": trainer.progress.best_epoch,
        "mixing": mixing,
        "teacher": run.teacher.reference() if run.teacher is not None else None,
        "fidelity": fidelity(run, model, measured_rows(run), logits) or None,
        "peers": peers,
        "seconds": round(seconds, 1),
    }
    path = trainer.run_dir
    if not trainer.member.is_chief:
        return found
    trainer.patiently(lambda: files.write_json(path / "metrics.json", found))
    trainer.patiently(lambda: checkpoint.write_run(path, model, dict(run.job.config), metadata))
    return found


def measured(run: Any, model: Any) -> tuple[dict[str, Any], dict[str, Any], Any, Any]:
    """Figures of a model on validation and test, and what calibrates it.

    Returns:
        Both, its test scores, and its logits on the test images, or else those of validation.
    """
    manifest = run.manifest
    validation, test = (manifest.labelled(split) for split in (VALIDATION, TEST))
    found: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    scores = logits = None
    call = classifier(model)
    if len(validation):
        kept, logits, labels = score(call, run.plain_views, validation, keep=True)
        found["validation"] = kept.result()
        if run.job.settings.calibrate:
            facts = calibration(logits, labels, manifest.multi_label)
    if len(test):
        scores, logits, _ = score(
            call, run.plain_views, test, temperature=facts.get("temperature", 1.0),
            thresholds=facts.get("thresholds", 0.5), keep=True,
        )  # fmt: skip
        found["test"] = scores.result()
    return found, facts, scores, logits


def described(
    run: Any, model: Any, found: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What metadata.json says of any network of a run."""
    manifest, settings = run.manifest, run.job.settings
    return {
        "class_names": list(manifest.class_names),
        "multi_label": manifest.multi_label,
        "resize": run.student.resize.as_dict(),
        "head": None,
        "abstain_below": settings.abstain_below,
        **facts,
        "seed": settings.seed,
        "data_fingerprint": manifest.own or manifest.fingerprint,
        "data_root": manifest.root,
        "parameters": graph.parameters(model),
        "metrics": dict(found),
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


def peer_weights(trainer: Any) -> list[Learnt]:
    """The student and its peers at their best; empty where there are none."""
    run, peers = trainer.shared, list(getattr(trainer.shared.method_state, "peers", ()))
    if not peers:
        return []
    student = Learnt(
        "student", run.job.config["backbone"], [v.numpy() for v in run.student.model.variables],
        trainer.progress.best,
    )  # fmt: skip
    kept = zip(peers, trainer.best_peers, trainer.progress.peers, strict=True)
    return [student, *(Learnt(f"peer_{number}", peer.backbone, weights, figure)
                       for number, (peer, weights, figure) in enumerate(kept, 1))]  # fmt: skip


def write_peers(trainer: Any, networks: list[Learnt]) -> dict[str, Any] | None:
    """Write each network into RUN/peers, and put the best of the student's kind into the student.

    Args:
        trainer: Of the run.
        networks: See `peer_weights`.

    Returns:
        What metadata.json says of them, or None without peers.
    """
    if not networks:
        return None
    run, metric = trainer.shared, trainer.trainer.monitor
    student = networks[0]
    alike = [one for one in networks if same_kind(one.backbone, student.backbone)]
    # The student is last, so that of equal ones it is kept.
    ordered = [*alike[1:], student]
    best = ordered[best_of.best_place(metric, [one.figure for one in ordered])]
    for variable, value in zip(run.student.model.variables, best.weights, strict=True):
        variable.assign(value)
    for one in networks if trainer.member.is_chief else ():
        _write_network(trainer, one)
    figures = {one.name: one.figure for one in networks}
    return {"figure": f"validation {metric}", **figures, "shipped": best.name}


def same_kind(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two backbones are one network, wherever their first weights came from."""
    one, two = ({k: v for k, v in each.items() if k != "weights"} for each in (first, second))
    return one == two


def _write_network(trainer: Any, network: Learnt) -> None:
    run = trainer.shared
    config = {**run.job.config, "backbone": dict(network.backbone)}
    classes = len(run.manifest.class_names)
    policy = keras.config.dtype_policy()
    model = checkpoint.rebuild(config, {"head": None}, classes, run.student.resize)
    keras.config.set_dtype_policy(policy)
    for variable, value in zip(model.variables, network.weights, strict=True):
        variable.assign(value)
    found, facts, _, _ = measured(run, model)
    folder = trainer.run_dir / "peers" / network.name
    folder.mkdir(parents=True, exist_ok=True)
    metadata = described(run, model, found, facts)
    trainer.patiently(lambda: files.write_json(folder / "metrics.json", found))
    trainer.patiently(lambda: checkpoint.write_run(folder, model, config, metadata))


def plain_model(run: Any) -> Any:
    """The student as the checkpoint will rebuild it: float32, low-rank factors merged."""
    config = run.job.config
    if keras.config.dtype_policy().name == "float32" and not lora.has_factors(run.student.model):
        return run.student.model
    facts = {"head": run.borrowed}
    classes = len(run.manifest.class_names)
    model = checkpoint.rebuild(config, facts, classes, run.student.resize)
    for variable, value in zip(model.variables, lora.plain_values(run.student.model), strict=True):
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


def choose_mixing(trainer: Any) -> float | None:
    """Mix start and end weights by the factor that validates best (WiSE-FT); None elsewhere."""
    run = trainer.shared
    factors = run.job.finetune.mixing_factors
    rows = run.manifest.labelled(VALIDATION)
    if not factors or not len(rows):
        return None
    variables = run.student.model.variables
    start, end = trainer.start_weights, [v.numpy() for v in variables]
    monitor = trainer.trainer.monitor
    best: tuple[float, float] | None = None
    for factor in sorted(factors, reverse=True):
        _mix(variables, start, end, factor)
        figure = score(classifier(run.student.model), run.plain_views, rows)[0].result()[monitor]
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


def closing_lines(trainer: Any, found: Mapping[str, Any]) -> list[str]:
    """Figures, weak classes, the run folder and what to type next."""
    run, run_dir = trainer.shared, trainer.run_dir
    classes = len(run.manifest.class_names)
    lines = []
    if "test" in found:
        lines.append(f"test       {console.figures_line(found['test'], classes)}")
        worst = console.worst_classes(trainer.test_scores.per_class(), run.manifest.class_names)
        lines.append(f"worst      {worst}")
    elif "validation" in found:
        lines.append(f"validation {console.figures_line(found['validation'], classes)}")
    metadata = checkpoint.read_json(run_dir / "metadata.json")
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
    if metadata.get("fidelity"):
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
