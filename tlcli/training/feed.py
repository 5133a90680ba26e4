"""Where the batches of a phase come from: tables in memory or on disk, or a stream of pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TRAIN
from tlcli.data.labels import label_lookup
from tlcli.data.streams import table_stream
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.system import cluster, complaints
from tlcli.system.array_file import check_whole
from tlcli.training.frozen_part import Joined, outputs
from tlcli.training.plan import PhasePlan
from tlcli.training.step import TrainStep
from tlcli.training.together import listening, unbroken

# From first and last step to figures, float32 (steps, 4).
Feed = Callable[[int, int], Any]
Batches = Callable[[range, range], Any]


@dataclass(frozen=True)
class Source:
    """What the batches of a phase are made of.

    Attributes:
        tables: Outputs of the frozen part over the training views; None streams pictures.
        mapped: Whether batches are gathered from the tables while steps run, as from a disk.
        signals: The teacher's signals by name, tables likewise.
        add: What adds stored signals to a batch of mapped tables, or None.
    """

    tables: list[Any] | None
    mapped: bool
    signals: dict[str, Any]
    add: Callable[[Any], Any] | None = None

    @property
    def streamed(self) -> bool:
        """Whether batches are gathered while steps run."""
        return self.tables is None or self.mapped

    def suffix(self, plan: PhasePlan) -> Any:
        """What of the student runs in a step."""
        # Of a stream the frozen part runs in the step; its layers are constant, so the result is
        # the same.
        whole = self.tables is None and plan.cut.prefix is not None
        return Joined(plan.cut) if whole else plan.cut.suffix


def source_of(pieces: Pieces, lesson: Lesson, plan: PhasePlan) -> Source:
    """The tables that the plan promises, computed or read; a stream where they cannot be kept."""
    rows, views = pieces.manifest.rows(TRAIN), pieces.train_views
    place, signals = plan.places.tables, plan.places.signals
    if place is None or signals is None:
        return Source(None, False, {})
    add = lesson.teacher.feed() if signals.mapped else None
    if signals.mapped and not lesson.teacher.on_disk:  # the disk turned out too small
        return Source(None, False, {})
    tables = outputs(pieces.tables, plan.cut.prefix, views, rows, place)
    if tables is None:
        return Source(None, False, {})
    if add is not None:
        return Source(tables, True, {}, add)
    return Source(tables, place.mapped, lesson.teacher.table(views, rows, views.finite or 1))


def feed_of(
    pieces: Pieces, lesson: Lesson, plan: PhasePlan, source: Source, step: TrainStep
) -> Feed:
    """What runs the steps of a phase over its source."""
    rows, views = pieces.manifest.rows(TRAIN), pieces.train_views
    labels = pieces.manifest.labels[rows]
    if source.tables is None:
        add = lesson.teacher.feed()

        def pictures(span: range, replicas: range) -> Any:
            return views.stream(rows, labels, plan.order, span, replicas, add)

        return _distributed(pieces, plan, step, pictures, lesson.teacher.check)
    if source.mapped:
        tables, label_of = source.tables, label_lookup(labels, len(pieces.manifest.class_names))

        def gathered(span: range, replicas: range) -> Any:
            return table_stream(
                tables, source.signals, label_of, plan.order, views.number, span, replicas,
                source.add,
            )  # fmt: skip

        def check() -> None:
            lesson.teacher.check()
            for table in tables:
                check_whole(table)

        return _distributed(pieces, plan, step, gathered, check)
    steps = step.from_tables(source.tables, labels, len(rows), source.signals)

    def feed(first: int, last: int) -> Any:
        chosen, epochs = plan.order.block(first, last)
        seen = np.asarray(views.number(epochs), np.int64)
        return steps(chosen, seen, np.int64(first)).numpy()

    return feed


def _distributed(
    pieces: Pieces, plan: PhasePlan, step: TrainStep, batches: Batches,
    whole: Callable[[], None],
) -> Feed:  # fmt: skip
    """Steps over datasets of batches for (steps, replicas).

    Args:
        pieces: Of the training.
        plan: Of the phase.
        step: Runs them.
        batches: Makes the datasets.
        whole: Raises, naming the file, where what is read was cut off.
    """
    strategy, steps = pieces.strategy, step.from_stream()
    member = cluster.join(pieces.job.hardware)
    rows, failed = pieces.manifest.rows(TRAIN), list[Exception]()
    at: dict[str, Any] = {"next": -1, "iterator": None}

    def dataset(context: Any, start: int) -> Any:
        local = strategy.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local
        found = batches(range(start, plan.total_steps), range(first, first + local))
        if member.size == 1:
            return found
        sizes = [len(plan.order.places(first + replica)) for replica in range(local)]
        return unbroken(found, failed, sizes)

    def run(count: int) -> Any:
        return steps(at["iterator"], tf.constant(count)).numpy()

    def feed(first: int, last: int) -> Any:
        if at["next"] != first:
            # Pictures are decoded ahead: before the first step, and between two calls.
            at["since"] = complaints.so_far()
            made = strategy.distribute_datasets_from_function(lambda c: dataset(c, first))
            at["iterator"] = iter(made)
        at["next"] = last
        try:
            if member.size > 1:
                with listening(member, pieces.manifest, failed, at["since"]):
                    figures = run(last - first)
            else:
                with pieces.train_views.watched(rows, at["since"]) as check:
                    figures = run(last - first)
                    check()
        except tf.errors.OpError:
            whole()
            raise
        at["since"] = complaints.so_far()
        return figures

    return feed
