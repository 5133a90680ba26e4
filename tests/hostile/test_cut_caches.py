"""What a cache lost since it was opened is told by name; no signal ends the process."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.trainings import phase_of
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.errors import DataError
from tlcli.system.memory import Budget
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of

WORDS = (
    "hardware=cpu", "data.images_per_class=40", "batch_size=8", "epochs=8", "image_size=32",
    "finetune=linear_probe", "distillation=fitnet", "teacher=run", "teacher.minimum_accuracy=0",
    "save_every=off",
)  # fmt: skip


@pytest.fixture
def training(digits_run, tmp_path):
    """A phase whose tables and teacher's outputs lie on disk, and the cache folder."""
    words = (*WORDS, f"teacher.path={digits_run}", f"cache_dir={tmp_path}")
    pieces = replace(pieces_of(train_job(config("train", *words))), budget=Budget(0))
    plan = plans.made(pieces, attach(pieces))
    places = plan.phases[0].places
    assert places.tables.mapped
    assert places.signals.mapped
    return phase_of(plan), tmp_path


def cut(path, size=100):
    with path.open("r+b") as file:
        file.truncate(size)


@pytest.mark.parametrize("kind", ["tables", "teachers"])
def test_outputs_that_are_cut_off_while_steps_read_them(training, kind):
    phase, cache = training
    phase.run(0, 2)
    files = {"tables": "tables/*/*.npy", "teachers": "teachers/*/shard-*.bin"}[kind]
    for path in cache.glob(files):
        cut(path)
    with pytest.raises(DataError, match=r"(npy|bin): was cut off while it was in use"):
        phase.run(2, phase.plan.total_steps)


def test_validation_outputs_that_are_cut_off(training):
    phase, cache = training
    assert phase.validate()
    for path in cache.glob("tables/*/*.npy"):
        cut(path)
    with pytest.raises(DataError, match="was cut off"):
        phase.validate()


def test_the_next_training_computes_them_again(training):
    phase, cache = training
    first = phase.run(0, 2)
    paths = [*cache.glob("tables/*/*.npy"), *cache.glob("teachers/*/shard-*.bin")]
    whole = {path: path.read_bytes() for path in paths}
    for path in paths:
        cut(path)
    pieces, lesson = phase.pieces, phase.lesson
    before = [v.numpy() for v in lesson.variables]
    plan = plans.made(pieces, attach(pieces))
    again = phase_of(plan)
    tables = [path for path in paths if path.suffix == ".npy"]
    assert {path: path.read_bytes() for path in tables} == {path: whole[path] for path in tables}
    # A store only grows: what was cut off stands anew behind what is left.
    for path in set(paths) - set(tables):
        assert any(whole[path] in other.read_bytes() for other in path.parent.glob("shard-*.bin"))
    assert np.isfinite(again.run(0, 2)).all()
    assert first.shape == (2, 4)
    assert len(before) == len(lesson.variables)
