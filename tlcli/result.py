"""The end of a training: the chosen weights, calibrated, measured and written."""

import platform
import subprocess
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli import (
    checkpoint,
    console,
    files,
    fused_batch_norm,
    graph,
    likeness,
    lora,
    metrics,
    teach,
)
from tlcli.data import TEST, VALIDATION
from tlcli.evaluate import score


def write(trainer: Any, seconds: float) -> dict[str, Any]:
    """Write the run of a trainer that has its best weights in the model; gives metrics.json."""
    run = trainer.shared
    manifest, settings = run.manifest, run.job.settings
    fused_batch_norm.use_keras(run.student.model)
    mixing = choose_mixing(trainer)
    model = plain_model(run)
    found: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    rows = {"validation": manifest.labelled(VALIDATION), "test": manifest.labelled(TEST)}
    if len(rows["validation"]):
        scores, logits, labels = score(model, run.plain_views, rows["validation"], keep=True)
        found["validation"] = scores.result()
        if settings.calibrate:
            facts = calibration(logits, labels, manifest.multi_label)
    temperature, thresholds = facts.get("temperature", 1.0), facts.get("thresholds", 0.5)
    if len(rows["test"]):
        scores, _, _ = score(
            model, run.plain_views, rows["test"], temperature=temperature, thresholds=thresholds
        )
        found["test"] = scores.result()
        trainer.test_scores = scores
    metadata = {
        "class_names": list(manifest.class_names),
        "multi_label": manifest.multi_label,
        "resize": run.student.resize.as_dict(),
        "head": run.borrowed,
        "abstain_below": settings.abstain_below,
        **facts,
        "seed": settings.seed,
        "data_fingerprint": manifest.own or manifest.fingerprint,
        "data_root": manifest.root,
        "best_epoch": trainer.progress.best_epoch,
        "mixing": mixing,
        "teacher": run.teacher.reference() if run.teacher is not None else None,
        "fidelity": teach.fidelity(run, model, teach.measured_rows(run)) or None,
        "parameters": graph.parameters(model),
        "seconds": round(seconds, 1),
        "metrics": found,
        "versions": versions(),
        "git_commit": git_commit(),
    }
    path = trainer.run_dir
    if not trainer.member.is_chief:
        return found
    trainer.patiently(lambda: files.write_json(path / "metrics.json", found))
    trainer.patiently(lambda: checkpoint.write_run(path, model, dict(run.job.config), metadata))
    return found


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
        return {"thresholds": metrics.fit_thresholds(logits, labels)}
    temperature = metrics.fit_temperature(logits, labels)
    after = metrics.Scores(logits.shape[1])
    before = metrics.Scores(logits.shape[1])
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
    factors = getattr(run.job.finetune, "mixing", None)
    rows = run.manifest.labelled(VALIDATION)
    if factors is None or not len(rows):
        return None
    variables = run.student.model.variables
    start, end = trainer.start_weights, [v.numpy() for v in variables]
    monitor = trainer.trainer.monitor
    best: tuple[float, float] | None = None
    for factor in sorted(factors, reverse=True):
        _mix(variables, start, end, factor)
        figure = score(run.student.model, run.plain_views, rows)[0].result()[monitor]
        if best is None or metrics.better(monitor, figure, best[0]):
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
    if "temperature" in metadata:
        lines.append(
            f"calibrated temperature {metadata['temperature']:.3f}: validation ECE "
            f"{metadata['validation_ece_before']:.4f} -> {metadata['validation_ece_after']:.4f}"
        )
    if metadata.get("fidelity"):
        lines.append(teach.fidelity_line(metadata["fidelity"]))
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
