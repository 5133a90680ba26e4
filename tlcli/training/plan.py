"""What will happen, decided once: what the printed plan says is what the phases do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tlcli.contracts.data import TRAIN
from tlcli.contracts.finetune import Phase
from tlcli.data.order import Order
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models import trainable
from tlcli.models.graph.split import Split
from tlcli.models.student import count
from tlcli.training import block_table, term_sizes
from tlcli.training.data import with_room
from tlcli.training.frozen_part import cached_split
from tlcli.training.order import make_order
from tlcli.training.places import Places, places
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import Size


@dataclass(frozen=True)
class PhasePlan:
    """A phase with everything that is decided about it.

    Attributes:
        index: Its number, from 0.
        phase: What the strategy says.
        order: Which images its steps see.
        rates: Multiplier of the learning rate by path of each trained variable.
        cut: The student cut where its constant part ends.
        places: How that part's outputs, the teacher's and pictures are kept.
        rate_table: Learning rate at each step, float64 (total_steps,).
        blocks: What it trains, block by block.
        trained: Numbers that it trains.
        sizes: Loss and gradient of each term on the first batch; empty where not looked at.
    """

    index: int
    phase: Phase
    order: Order
    rates: Mapping[str, float]
    cut: Split
    places: Places
    rate_table: Any
    blocks: tuple[block_table.Row, ...]
    trained: int
    sizes: tuple[Size, ...] = ()

    @property
    def total_steps(self) -> int:
        """Steps of the phase."""
        return self.order.total_steps(self.phase.epochs)


@dataclass(frozen=True)
class Plan:
    """A whole training before its first step.

    Attributes:
        pieces: What it is made of.
        lesson: What the student learns from.
        phases: In order.
    """

    pieces: Pieces
    lesson: Lesson
    phases: tuple[PhasePlan, ...]


def made(pieces: Pieces, lesson: Lesson) -> Plan:
    """The plan of a training. Nothing of student or method is changed but low-rank factors added.

    Raises:
        ConfigError: The strategy does not fit the network.
    """
    found: list[PhasePlan] = []
    first = 0.0
    for index, phase in enumerate(phases(pieces, lesson)):
        found.append(phase_plan(pieces, lesson, phase, index, math.ceil(first)))
        first += phase.epochs
    if found:
        # What was decoded to look at the first batches must not take the place of a table.
        pieces = with_room(pieces, min(phase.places.budget.left for phase in found))
        sizes = term_sizes.looked_at(pieces, lesson, found[-1].phase)
        found[-1] = replace(found[-1], sizes=sizes)
    return Plan(pieces, lesson, tuple(found))


def phase_plan(
    pieces: Pieces, lesson: Lesson, phase: Phase, index: int = 0, first_epoch: int = 0
) -> PhasePlan:
    """What is decided about one phase.

    Args:
        pieces: Of the training.
        lesson: Of the training.
        phase: What the strategy says.
        index: Number of the phase, from 0.
        first_epoch: Number of its first epoch.
    """
    job, model = pieces.job, lesson.student.model
    rows = pieces.manifest.rows(TRAIN)
    order = make_order(pieces, rows, first_epoch)
    base = job.optimizer.scaled_rate(order.batch_size) * phase.rate
    total = order.total_steps(phase.epochs)
    table = base * job.schedule.values(total, order.steps_per_epoch, order.batch_size)
    with trainable.applied(model, phase, pieces.batch_norm) as rates:
        cut = cached_split(lesson)
        trained = [v for v in model.trainable_variables if v.path in rates]
        blocks = block_table.rows(model, rates, base)
    numbers = count(trained)
    return PhasePlan(
        index=index, phase=phase, order=order, rates=rates, cut=cut,
        places=places(pieces, lesson, cut, numbers), rate_table=table, blocks=tuple(blocks),
        trained=numbers,
    )  # fmt: skip
