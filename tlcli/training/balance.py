"""Weights of distillation terms that fit the training at hand: `distillation.soft_weight=auto`.

A published weight belongs to its networks, its reduction and its 240 epochs. Measured on the first
batches instead, a term gets the weight that makes its gradient a stated share of the labels'. The
number is written into the run's config.json, where a resume reads it.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.config import chain, registry
from tlcli.config.job import TrainJob
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.distill.sorted_maps import SortedMaps
from tlcli.runs import checkpoint
from tlcli.system import cluster, console
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import LABELS, term_sizes


def settled(pieces: Pieces, lesson: Lesson) -> tuple[Pieces, Lesson]:
    """The training with a number in the place of every weight that waits for one.

    Args:
        pieces: Of the training.
        lesson: As `attach` makes it.
    """
    # Nothing is measured for a method that waits for nothing.
    if not lesson.method.weighed({}, 0.0):
        return pieces, lesson
    values = measured(pieces, lesson)
    shown = "; ".join(f"distillation.{key}={value}" for key, value in values.items())
    console.say(f"weights    {shown} (measured on the first batches)")
    job = with_values(pieces.job, values)
    method = job.distillation
    if isinstance(lesson.method, SortedMaps):
        method = SortedMaps(method, lesson.method.given)
    return replace(pieces, job=job), replace(lesson, method=method)


def measured(pieces: Pieces, lesson: Lesson) -> dict[str, Any]:
    """Options of the method with numbers, by what its last phase trains; the chief's on all."""
    chosen = phases(pieces, lesson)
    with console.Stage("measuring the terms of the loss"):
        found = term_sizes(pieces, lesson, chosen[-1]) if chosen else []
    gradients = {size.name: size.gradient for size in found}
    labels = gradients.pop(LABELS, 0.0)
    values = lesson.method.weighed(gradients, labels)
    # Machines may round apart, and all must train the same.
    told: dict[str, Any] = json.loads(
        cluster.join(pieces.job.hardware).from_chief(json.dumps(values))
    )
    return told


def stored(job: TrainJob, run_dir: Path) -> TrainJob:
    """The job with the weights that a run begun in its folder was measured to need."""
    path, waiting = run_dir / "config.json", job.distillation.weighed({}, 0.0)
    if not path.is_file() or not waiting:
        return job
    before = checkpoint.read_config(run_dir).get("distillation", {})
    same = {
        k: before[k] for k, v in waiting.items() if _but_weights(before.get(k)) == _but_weights(v)
    }
    return with_values(job, same)


def _but_weights(value: Any) -> Any:
    """What was asked for: methods without their weights, and nothing of a weight alone."""
    if isinstance(value, list):
        return [{k: v for k, v in entry.items() if k != "soft_weight"} for entry in value]
    return None


def with_values(job: TrainJob, values: Mapping[str, Any]) -> TrainJob:
    """The same training with other values of its method's options.

    The configuration of a chain stays: its trainings are measured each, and alike at every start.
    """
    options = {**job.config["distillation"], **values}
    config = (
        job.config if chain.is_chain(job.config) else {**job.config, "distillation": options}
    )  # fmt: skip
    return replace(job, distillation=registry.build("distillation", options), config=config)
