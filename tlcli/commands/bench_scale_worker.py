"""A worker of `tl bench scale`: trains some steps with others, and says what they went to.

    python -m tlcli.commands.bench_scale_worker ORDER WORD…

ORDER is JSON; the words are those of `tl train`, `hardware=multi_worker` among them. Prints a line
of JSON.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.config import compose
from tlcli.config.checking import Checked, check_request
from tlcli.config.job import TrainJob, train_job
from tlcli.contracts.data import TRAIN
from tlcli.contracts.hardware import Hardware
from tlcli.distill.attach import attach
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.errors import TlError
from tlcli.models.norms import is_batch_norm
from tlcli.system import cluster, console
from tlcli.training import auto, auto_backbone, batch_size
from tlcli.training.build import pieces_of
from tlcli.training.clock import Clock, durations, mean_step
from tlcli.training.data import NO_SPLIT
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import PhasePlan, phase_plan
from tlcli.training.strategy import phases

MARK = "tl-bench-scale"
# TensorFlow traces in the first, and settles its buffers in some more.
WARM = 8
PROBES = 12
# Sums in a row of one call: a call itself takes as long as one of them.
IN_A_ROW = 8
FIGURES = 5
# Of the bytes of the gradient; the first is a number alone.
SHARES = (0.0, 0.25, 1.0, 4.0)
MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Order:
    """What a worker is asked for.

    Attributes:
        steps: That are timed.
        images: Training images that are taken.
    """

    steps: int
    images: int


def main(argv: list[str]) -> int:
    """Measure and print."""
    order = Order(**json.loads(argv[0]))
    console.start_log(None)
    try:
        found = measured(order, check_request(compose.read("train", argv[1:])))
    except TlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps({MARK: found}) + "\n")
    sys.stdout.flush()
    return 0


def measured(order: Order, checked: Checked[Any, TrainJob]) -> dict[str, Any]:
    """What steps went to; every worker keeps the batch of one.

    Raises:
        TlError: Options or data that cannot be used.
    """
    job = auto_backbone.resolved(checked.job, checked.typed)
    job = auto.resolved(job, checked.typed) if job.settings.auto else job
    job = batch_size.resolved(job)
    member = cluster.join(job.hardware)
    batch = int(job.settings.batch_size)
    pieces, lesson, plan = subject(job, batch * member.size, order)
    clock = Clock(len(pieces.strategy.extended.worker_devices))
    phase = PhaseTraining(pieces, lesson, plan, clock)
    step, each = timed(phase, clock, order.steps)
    sizes = [int(np.prod(v.shape)) * v.value.dtype.size for v in phase.variables]
    small = small_sums(lesson.student.model, job.hardware)
    found = {
        "rank": member.rank, "batch": batch, "step": step, "gradient_bytes": sum(sizes),
        "sums": len(small), "sum_bytes": float(np.mean(small)),
        "durations": each,
        "input_rate": input_rate(pieces, lesson, plan, member.rank, order.steps),
        "probes": probes(member, sum(sizes)) if member.size > 1 else [],
    }  # fmt: skip
    member.any(False)  # No worker may end before the others are done.
    return found


def subject(job: TrainJob, batch: int, order: Order) -> tuple[Pieces, Lesson, PhasePlan]:
    """The last phase of the training, long enough, over some of its training images."""
    pieces = pieces_of(train_job({**job.config, "batch_size": batch}))
    manifest = pieces.manifest
    chosen = manifest.rows(TRAIN)[: order.images]
    splits = np.full(len(manifest.splits), NO_SPLIT, np.int8)
    splits[chosen] = TRAIN
    epochs = (WARM + order.steps + 2) * batch / len(chosen) + 1
    fixed = {"batch_size": batch, "epochs": float(np.ceil(epochs * 10))}
    pieces = replace(pieces, job=train_job({**job.config, **fixed}))
    pieces = pieces.with_data(replace(manifest, splits=splits))
    lesson = attach(pieces)
    return pieces, lesson, phase_plan(pieces, lesson, phases(pieces, lesson)[-1])


def timed(phase: PhaseTraining, clock: Clock, steps: int) -> tuple[float, list[list[float]]]:
    """Mean seconds of a step, and what each went to."""
    at, end = 0, WARM + steps
    while at < end:
        last = at + 1 if at < WARM else min(end, at + phase.steps_per_call)
        clock.called(at)
        phase.run(at, last)
        at = last
    return mean_step(clock.seen, WARM, end), durations(clock.seen, WARM, end).tolist()


def small_sums(network: Any, hardware: Hardware) -> list[int]:
    """Bytes of each sum over all workers in a step but that of the gradients.

    Statistics of the global batch take two sums on the way there and two on the way back, each of
    them before the next operation can go on; figures take one.
    """
    norms = [layer for layer in network._flatten_layers() if is_batch_norm(layer)]
    learn = [norm for norm in norms if norm.trainable and hardware.batch_norm == "sync"]
    each = [4 * int(norm.moving_mean.shape[0]) for norm in learn for _ in range(4)]
    return [*each, 4 * FIGURES]


def input_rate(
    pieces: Pieces, lesson: Lesson, plan: PhasePlan, rank: int, steps: int
) -> float | None:
    """Images a second that come when nobody computes; None for tables."""
    if plan.places.tables is not None:
        return None
    rows, order = pieces.manifest.rows(TRAIN), plan.order
    local = pieces.strategy.extended.worker_devices
    replicas = range(rank * len(local), (rank + 1) * len(local))
    labels = pieces.manifest.labels[rows]
    span = range(min(plan.total_steps, WARM + steps))
    add = lesson.teacher.feed()
    began, images = 0.0, 0
    for number, batch in enumerate(
        pieces.train_views.stream(rows, labels, order, span, replicas, add)
    ):
        if number == WARM:
            began, images = time.perf_counter(), 0
        images += len(batch["rows"])
    return images / max(time.perf_counter() - began, 1e-9) if began else None


def probes(member: cluster.Alone, gradient: int) -> list[tuple[float, list[float]]]:
    """Bytes of sums over all workers, and the seconds of some."""
    found = []
    for share in SHARES:
        count = max(1, int(min(gradient * share, MOST_BYTES)) // 4)
        found.append((4.0 * count, sums(member, count)))
    return found


def sums(member: cluster.Alone, count: int) -> list[float]:
    """Seconds of sums of so many numbers, each begun when the one before is there."""
    values = tf.zeros((count,))

    def one(values: Any) -> Any:
        context = tf.distribute.get_replica_context()
        for _ in range(IN_A_ROW):
            values = context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.identity(values))
        return values

    def total(values: Any) -> Any:
        each = member.strategy.run(one, (values,))
        return member.strategy.experimental_local_results(each)[0][:1]

    call, found = tf.function(total, autograph=False), []
    with member.waiting():
        for _ in range(PROBES):
            began = time.perf_counter()
            call(values).numpy()
            found.append((time.perf_counter() - began) / IN_A_ROW)
    return found[2:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
