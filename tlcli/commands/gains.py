"""What a teacher is worth: a student beside its control, on the same images and over seeds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config.job import TrainJob
from tlcli.contracts.data import TRAIN
from tlcli.data.views import Views, worker_count
from tlcli.lazy import np
from tlcli.runs import checkpoint
from tlcli.runs.seen import seen_by

CONTROL = "control"
# Trainings of a chain, in folders of the run.
STAGES = ("teacher", "assistant_*", "generation_*")


@dataclass(frozen=True)
class Member:
    """A line of the table.

    Attributes:
        name: What it is called.
        figure: On test images, else those of validation; None where it is not known.
        parameters: Weights of the model.
        seconds: Of the training; None for one that was elsewhere.
    """

    name: str
    figure: float | None
    parameters: int | None
    seconds: float | None


def lines(job: TrainJob, run_dir: Path) -> list[str]:
    """The table of a run and its control, and the line `gain`; none without a labelled image.

    Args:
        job: Of the run, whose data both have.
        run_dir: Its folder; run and control are finished.
    """
    # Here and not above: the table of a sweep needs no TensorFlow.
    from tlcli.distill.fidelity import measured_rows
    from tlcli.evaluation import paired
    from tlcli.training.data import data_of

    facts = checkpoint.facts_of(run_dir)
    split = split_of(facts.metrics)
    if not split:
        return []
    figure = "mean_average_precision" if facts.multi_label else "accuracy"
    manifest = data_of(job)
    rows = measured_rows(manifest)
    ours, theirs = (said_by(path, manifest, rows, job, split)
                    for path in (run_dir, run_dir / CONTROL))  # fmt: skip
    found = paired.of_logits(ours, theirs, manifest, rows)
    words = f"{split} {figure.replace('_', ' ')}"
    return [
        *table(members(run_dir, split, figure), words),
        f"gain       {words} {found}: student - control on the same {found.count} images, ± "
        "standard error",
        *seen_lines(run_dir, manifest, rows, split),
    ]


def seen_lines(run_dir: Path, manifest: Any, rows: Any, split: str) -> list[str]:
    """What is said where a teacher learnt from the images that its student is measured on."""
    reference = checkpoint.facts_of(run_dir).teacher or {}
    places = [run_dir / "teacher", *([Path(reference["run"])] if "run" in reference else [])]
    trained = np.zeros(len(rows), bool)
    for place in places:
        seen = seen_by(place) if checkpoint.is_finished(place) else None
        if seen is not None:
            trained |= seen.of(manifest)[rows] == TRAIN
    if not trained.any():
        return []
    return [
        f"note       the teacher was trained on {trained.sum()} of these {len(rows)} {split} "
        "images: its figure and the gain are too good. Give both the same split of the data"
    ]


def split_of(metrics: Any) -> str:
    """The split that is compared: test, else validation, else none."""
    return next((split for split in ("test", "validation") if split in metrics), "")


def said_by(folder: Path, manifest: Any, rows: Any, job: TrainJob, split: str) -> Any:
    """What a finished run says of images of a split, (rows, classes), as its figures have it."""
    from tlcli.evaluation.classifier import classifier, logits_of

    found = checkpoint.read_run(folder)
    views = Views(manifest, found.resize, None, 0, worker_count(job.settings.workers))
    call = classifier(found.model)
    logits = np.concatenate(list(logits_of(call, views, rows)))
    return found.scaling(logits) if split == "test" else logits


def members(run_dir: Path, split: str, figure: str) -> list[Member]:
    """Those that a run was made with, its teachers first, itself last."""
    inner = [path for pattern in STAGES for path in sorted(run_dir.glob(pattern))]
    places = {path.name.replace("_", " "): path for path in [*inner, run_dir / CONTROL]}
    places["student"] = run_dir
    found = []
    for name, path in places.items():
        if checkpoint.is_finished(path):
            facts = checkpoint.facts_of(path)
            value = (facts.metrics.get(split) or {}).get(figure)
            found.append(Member(name, value, facts.parameters, facts.seconds))
    if not inner:
        like = checkpoint.facts_of(run_dir).fidelity or {}
        teacher = Member(
            "teacher", like.get(f"teacher_{figure}"), like.get("teacher_parameters"), None
        )
        found = [teacher, *found] if teacher.figure is not None else found
    return found


def table(rows: Sequence[Member], figure: str) -> list[str]:
    """Members in aligned columns."""
    head = ["", figure, "parameters", "seconds"]
    texts = [head, *([row.name, *_shown(row)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    widths[0] = max(widths[0], len("gain      "))
    return [
        f"{first:<{widths[0]}} "
        + "  ".join(f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True))
        for first, *rest in texts
    ]


def _shown(row: Member) -> list[str]:
    return [
        "-" if row.figure is None else f"{row.figure:.4f}",
        "-" if row.parameters is None else f"{row.parameters:,}",
        "-" if row.seconds is None else f"{row.seconds:.1f}",
    ]


def over_seeds(runs: Sequence[Path], figure: str) -> list[str]:
    """What trainings of one configuration with several seeds say of its teacher.

    Args:
        runs: Run folders that differ in their seed alone.
        figure: A figure of metrics.json.

    Returns:
        Mean and standard error of teacher, control and student, and the line `gain`; none where
        fewer than two runs have a finished control.
    """
    from tlcli.evaluation import paired

    with_control = [run for run in runs if checkpoint.is_finished(run)
                    and checkpoint.is_finished(run / CONTROL)]  # fmt: skip
    splits = {split_of(checkpoint.read_metrics(run)) for run in with_control}
    if len(with_control) < 2 or len(splits) > 1 or "" in splits:
        return []
    split = splits.pop()
    found = [{row.name: row.figure for row in members(run, split, figure)} for run in with_control]
    names = [name for name in found[0]
             if all(one.get(name) is not None for one in found)]  # fmt: skip
    if not {"student", CONTROL} <= {*names}:
        return []
    values: dict[str, list[float]] = {name: [one[name] for one in found] for name in names}  # type: ignore[misc]
    words = f"{split} {figure.replace('_', ' ')}"
    lines = [f"{'':<12} {words}, mean ± standard error over {len(found)} seeds"]
    for name, figures in values.items():
        error = paired.difference(figures).error
        shown = "  ".join(f" {value:.4f}" for value in figures)
        lines.append(f"{name:<12}  {statistics.fmean(figures):.4f} ± {error:.4f}  {shown}")
    gaps = [ours - theirs for ours, theirs in zip(values["student"], values[CONTROL], strict=True)]
    shown = "  ".join(f"{gap:+.4f}" for gap in gaps)
    return [*lines, f"{'gain':<12} {paired.difference(gaps)}  {shown}"]
