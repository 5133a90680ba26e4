"""`batch_size=auto`: the largest power of two that fits.

On accelerators real steps are tried, halved until one fits. A CPU's memory does not refuse but
swap or kill, so there the step is traced and its tensors are added up against a fixed part of the
machine's memory: the same number each time on one machine.
"""

import gc
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.config import chain
from tlcli.config.job import TrainJob, train_job
from tlcli.contracts.data import TRAIN
from tlcli.distill.attach import attach
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint
from tlcli.system import cluster, console, memory
from tlcli.training.build import pieces_of
from tlcli.training.data import data_of, without_validation
from tlcli.training.devices import start_devices
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import PhasePlan, phase_plan
from tlcli.training.strategy import phases

# The batch that optimizers' rates are given for; larger ones need more epochs for as many steps.
MOST = 256
# Fewer steps an epoch learn too little in a few epochs.
STEPS_AN_EPOCH = 8
# Of all memory; the rest is for tables, decoding, kernels' scratch space and other programs.
SHARE = 0.5


def resolved(job: TrainJob, run_dir: Path | None = None) -> TrainJob:
    """The job with a number in the place of `auto`, which is told with its reason.

    Args:
        job: A checked training.
        run_dir: Its folder; a run that was begun there keeps its number.

    Raises:
        ConfigError: A chain, whose trainings need not fit alike; options that do not fit.
        DataError: Data that cannot be used.
    """
    if job.settings.batch_size != "auto":
        return job
    kept = stored(run_dir)
    if kept is not None:
        return with_number(job, kept)
    if chain.is_chain(job.config):
        raise ConfigError(
            "batch_size", "got 'auto', and the trainings of a chain need not fit alike",
            "Give a number.",
        )  # fmt: skip
    number, reason = found(job)
    member = cluster.join(job.hardware)
    # Machines may be unlike, and all must train the same.
    number = int(member.from_chief(str(number)))
    console.say(f"batch      {number}: {reason}")
    return with_number(job, number)


def stored(run_dir: Path | None) -> int | None:
    """The number that a run was begun with, or None."""
    if run_dir is None or not (run_dir / "config.json").is_file():
        return None
    value = checkpoint.read_config(run_dir).get("batch_size")
    return value if isinstance(value, int) else None


def with_number(job: TrainJob, number: int) -> TrainJob:
    """The same training in batches of a number of images."""
    return train_job({**job.config, "batch_size": number})


def found(job: TrainJob) -> tuple[int, str]:
    """The largest batch that fits, and why it is that."""
    start_devices(job)
    most, reason = limit(len(data_of(job).rows(TRAIN)))
    number = most
    gpus = bool(tf.config.list_logical_devices("GPU"))
    if gpus and cluster.join(job.hardware).size == 1:
        with console.Stage("trying batches") as stage:
            while number > 1 and not fits(job, number):
                number //= 2
                stage.move(0, f"trying batches of {number}")
        about = "the largest that a step was tried with and fitted"
    else:
        allowed = int(SHARE * memory.total())
        with console.Stage("estimating the memory of a step"):
            needed = step_bytes(*prepared(job, most), most)
        while number > 1 and needed[0] + needed[1] * number > allowed:
            number //= 2
        size = needed[0] + needed[1] * number
        about = f"a step needs about {_size(size)} of the {_size(allowed)} that half the memory is"
    keras.utils.clear_session()
    gc.collect()
    return number, reason if number == most else about


def limit(samples: int) -> tuple[int, str]:
    """The largest power of two that is sensible for so many training images, and why.

    Args:
        samples: Training images.
    """
    most = max(1, min(MOST, samples // STEPS_AN_EPOCH))
    number = 1 << int(math.log2(most))
    if number == MOST:
        return number, f"the most that is taken; more than {MOST} seldom learn better"
    return number, f"more would leave an epoch of {samples} images under {STEPS_AN_EPOCH} steps"


def prepared(job: TrainJob, number: int) -> tuple[Pieces, Lesson]:
    """A training with batches of a number of images, none of its outputs computed ahead."""
    pieces = pieces_of(with_number(job, number))
    lesson = attach(pieces)
    pieces = without_validation(pieces)
    settings = replace(pieces.job.settings, cache="off")
    return replace(pieces, job=replace(pieces.job, settings=settings)), lesson


def hungriest(pieces: Pieces, lesson: Lesson) -> PhasePlan:
    """The phase of the strategy that trains the most numbers."""
    chosen = phases(pieces, lesson)
    plans = [phase_plan(pieces, lesson, phase, index) for index, phase in enumerate(chosen)]
    return max(plans, key=lambda plan: plan.trained)


def fits(job: TrainJob, number: int) -> bool:
    """Whether a real step does; all that it made is let go of."""
    pieces, lesson = prepared(job, number)
    try:
        PhaseTraining(pieces, lesson, hungriest(pieces, lesson)).feed(0, 1)
    except tf.errors.ResourceExhaustedError:
        return False
    finally:
        del pieces, lesson
        keras.utils.clear_session()
        gc.collect()
    return True


# ---- the estimate -----------------------------------------------------------------------------


def step_bytes(pieces: Pieces, lesson: Lesson, number: int) -> tuple[int, float]:
    """Memory of a training step on this machine.

    Args:
        pieces: With batches of the number.
        lesson: Of the training.
        number: Images a step.

    Returns:
        Bytes that do not depend on the batch (weights, gradients, the optimizer's moments), and
        bytes an image.
    """
    phase = PhaseTraining(pieces, lesson, hungriest(pieces, lesson))
    replicas = pieces.replicas // phase.member.size
    weights = [v.value for v in lesson.variables]
    gradients = [v.value for v in phase.variables]
    moments = [v.value for v in phase.optimizer.variables]
    fixed = sum(map(tensor_bytes, [*weights, *gradients, *moments, *phase.averages.ema]))
    peak = live_bytes(traced(pieces, lesson, phase))
    return replicas * fixed, max(0, replicas * (peak - sum(map(tensor_bytes, gradients)))) / number


def traced(pieces: Pieces, lesson: Lesson, phase: PhaseTraining) -> Any:
    """The graph of loss and gradients of one replica's batch."""
    rows = pieces.manifest.rows(TRAIN)
    labels = pieces.manifest.labels[rows]
    order = phase.plan.order
    stream = pieces.train_views.stream(rows, labels, order, range(1), range(1))
    add = lesson.teacher.feed()
    spec = (stream if add is None else stream.map(add)).element_spec

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator,unused-ignore]
    def step(batch: Mapping[str, Any]) -> Any:
        given = {**batch, "inputs": [batch["images"]]}
        if phase.loss_scale is not None:
            given["scale"] = tf.identity(phase.loss_scale)
        return phase.step.loss_and_gradients(given)

    with pieces.strategy.scope():
        return tf.function(step).get_concrete_function(spec).graph


def live_bytes(function_graph: Any) -> int:
    """Most bytes of tensors that are alive at once when operations run in the order of the graph.

    Args:
        function_graph: Of a concrete function.
    """
    operations = function_graph.get_operations()
    last: dict[str, int] = {t.name: len(operations) for t in function_graph.outputs}
    for place, operation in enumerate(operations):
        for tensor in operation.inputs:
            last[tensor.name] = max(place, last.get(tensor.name, 0))
    ends: dict[int, list[int]] = {}
    alive = peak = 0
    for place, operation in enumerate(operations):
        # Some hand their input on instead of copying it.
        made = 0 if operation.type in HANDED_ON else sum(map(tensor_bytes, operation.outputs))
        alive += made
        peak = max(peak, alive)
        if made:
            end = max(last.get(t.name, place) for t in operation.outputs)
            ends.setdefault(max(end, place), []).append(made)
        alive -= sum(ends.pop(place, []))
    return peak


HANDED_ON = {
    "Identity", "IdentityN", "Reshape", "StopGradient", "PreventGradient", "ExpandDims", "Squeeze",
    "ReadVariableOp", "Placeholder", "NoOp", "Const",
}  # fmt: skip


def tensor_bytes(tensor: Any) -> int:
    """Size of a tensor or variable; 0 where its shape is not known or it holds no numbers."""
    shape = getattr(tensor, "shape", None)
    if shape is None or shape.rank is None or None in shape.as_list():
        return 0
    kind = tensor.dtype
    numeric = kind.is_floating or kind.is_integer or kind.is_bool
    return int(np.prod(shape.as_list(), dtype=np.int64)) * kind.size if numeric else 0


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
