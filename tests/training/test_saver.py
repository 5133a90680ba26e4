"""When a state is saved, and what can be gone on with."""

import dataclasses

import numpy as np
import pytest

from tlcli.training.saver import Saver
from tlcli.training.stopping import StopRequest


@pytest.fixture
def saver(small_plan, tmp_path):
    def made(every):
        job = small_plan.pieces.job
        settings = dataclasses.replace(job.settings, save_every=every)
        pieces = dataclasses.replace(
            small_plan.pieces, job=dataclasses.replace(job, settings=settings)
        )
        return Saver(pieces, tmp_path, StopRequest(), lambda: None)

    return made


@pytest.mark.parametrize(
    ("every", "due"), [("off", []), ("4steps", [4, 5, 6]), ("0.5epochs", [5, 6])]
)
def test_a_state_is_due_after_its_distance(saver, every, due):
    found = saver(every)
    found.begin(0)
    assert [step for step in range(7) if found.due(step, 10.0)] == due
    found.begin(3)
    assert not found.due(6, 10.0)


def test_time_counts_from_the_last_state(saver, monkeypatch):
    found = saver("10s")
    now = found._time
    monkeypatch.setattr("tlcli.training.saver.time.monotonic", lambda: now + 11)
    assert found.due(1, 10.0)
    found.save(0, 1, {"model/0": np.zeros(1)}, {})
    assert not found.due(2, 10.0)


def test_the_last_state_is_told_with_its_phase(saver, tmp_path):
    found = saver("off")
    assert found.told(tmp_path) == "No state was saved."
    found.save(1, 30, {"model/0": np.arange(3.0)}, {"progress": {}})
    assert f"of step 30 of phase 2, goes on with: tl train resume={tmp_path}" in (
        found.told(tmp_path)
    )
    assert found.bytes > 0
