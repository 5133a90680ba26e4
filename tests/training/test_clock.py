"""When parts of a step are over, as steps of a training tell."""

from collections import defaultdict

import numpy as np
import pytest

from tests.helpers.words import checked
from tlcli.distill.attach import attach
from tlcli.training.build import pieces_of
from tlcli.training.clock import (
    ARRIVED,
    CALLED,
    COMPUTED,
    NO_CLOCK,
    REDUCED,
    UPDATED,
    Clock,
    durations,
    mean_step,
)
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import phase_plan
from tlcli.training.strategy import phases

SHORT = ("backbone=tiny", "data.images_per_class=8", "batch_size=10", "epochs=3", "finetune=full")


def trained(clock, *words):
    job = checked("train", *SHORT, *words).job
    pieces = pieces_of(job)
    lesson = attach(pieces)
    plan = phase_plan(pieces, lesson, phases(pieces, lesson)[-1])
    phase = PhaseTraining(pieces, lesson, plan, clock)
    figures = np.concatenate([phase.run(0, 2), phase.run(2, 6)])
    return figures, [v.numpy() for v in phase.variables]


@pytest.mark.parametrize("words", [(), ("optimizer.sam=0.05",), ("augmentation=light",)])
def test_a_clock_sees_all_parts_in_order_and_changes_nothing(words):
    clock = Clock(1)
    seen, without = trained(clock, *words), trained(NO_CLOCK, *words)
    np.testing.assert_array_equal(seen[0], without[0])
    for one, other in zip(seen[1], without[1], strict=True):
        np.testing.assert_array_equal(one, other)
    passes = 2 if "optimizer.sam=0.05" in words else 1
    for step in range(6):
        counts = [len(clock.seen[step, kind]) for kind in (ARRIVED, COMPUTED, REDUCED, UPDATED)]
        assert counts == [1, passes, passes, 1]
        times = [clock.seen[step, kind] for kind in (ARRIVED, COMPUTED, REDUCED, UPDATED)]
        assert times[0][0] <= times[1][0] <= times[2][0] <= times[3][0]
    found = durations(clock.seen, 1, 6)
    assert found.shape == (5, 3)
    assert (found >= 0).all()
    assert (found[:, 1] > 0).all()


def test_durations_by_hand():
    seen = defaultdict(list, {
        (0, UPDATED): [10.0],
        # Arrived before the step before was over: nobody waited.
        (1, ARRIVED): [9.0], (1, COMPUTED): [12.0], (1, REDUCED): [12.5], (1, UPDATED): [13.0],
        # Two passes, and two seconds without images.
        (2, ARRIVED): [15.0], (2, COMPUTED): [16.0, 19.0], (2, REDUCED): [17.0, 19.5],
        (2, UPDATED): [20.0],
    })  # fmt: skip
    expected = [[0.0, 2.0 + 0.5, 0.5], [2.0, 1.0 + 2.0 + 0.5, 1.0 + 0.5]]
    np.testing.assert_allclose(durations(seen, 1, 3), expected)
    assert mean_step(seen, 1, 3) == 5.0
    # Half a second of it nobody had asked for it yet.
    seen[2, CALLED].append(13.5)
    np.testing.assert_allclose(durations(seen, 2, 3), [[1.5, *expected[1][1:]]])
