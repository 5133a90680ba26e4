"""All that a phase keeps has its place in one budget; what does not fit lies on disk."""

import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.trainings import phase_of, planned, streams
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.models.frozen.tables import Tables
from tlcli.system.memory import Budget, let_go
from tlcli.training import plan as plans
from tlcli.training import plan_text
from tlcli.training.build import pieces_of

WORDS = (
    "hardware=cpu", "data.images_per_class=4", "batch_size=8", "epochs=1",
    "finetune=linear_probe", "distillation=fitnet", "teacher=run", "teacher.minimum_accuracy=0",
    "calibrate=false", "save_every=off",
)  # fmt: skip
RANDOM = ("hardware=cpu", "augmentation=light", "finetune=full", "save_every=off")


@pytest.fixture(scope="module")
def training(digits_run):
    """Pieces and lesson of a linear probe that compares maps with a teacher's."""
    pieces = pieces_of(train_job(config("train", *WORDS, f"teacher.path={digits_run}")))
    return pieces, attach(pieces)


def with_budget(training, size):
    pieces, lesson = training
    return plans.made(replace(pieces, budget=Budget(size)), lesson)


def sizes(plan):
    places = plan.phases[0].places
    return [p.memory for p in (places.signals, places.tables, places.validation) if p is not None]


def test_what_is_kept_is_never_more_than_the_budget(training):
    whole = with_budget(training, 1 << 30)
    assert not whole.phases[0].places.tables.mapped
    weights = dict(whole.phases[0].places.budget.taken)["weights"]
    needed = weights + sum(sizes(whole))
    assert whole.phases[0].places.budget.left == (1 << 30) - needed
    for size in np.linspace(weights, needed, 9).astype(int).tolist():
        plan = with_budget(training, size)
        assert weights + sum(sizes(plan)) <= size
        # Nothing is given up that a disk can hold.
        assert plan.phases[0].places.tables is not None


def test_outputs_read_from_disk_train_the_same(training):
    whole = with_budget(training, 1 << 30)
    weights = dict(whole.phases[0].places.budget.taken)["weights"]
    figures = []
    before = [v.numpy() for v in whole.lesson.variables]
    for plan, mapped in ((whole, False), (with_budget(training, weights), True)):
        assert plan.phases[0].places.signals.mapped is mapped
        for variable, value in zip(plan.lesson.variables, before, strict=True):
            variable.assign(value)
        phase = phase_of(plan)
        assert streams(phase) is mapped
        figures.append(phase.run(0, phase.plan.total_steps))
    np.testing.assert_allclose(*figures, rtol=1e-5)


def test_a_teacher_that_has_no_place_is_asked_in_each_step(training):
    pieces, lesson = training
    lesson.teacher.built.kept.store, store = None, lesson.teacher.built.kept.store
    try:
        places = with_budget((pieces, lesson), 0).phases[0].places
    finally:
        lesson.teacher.built.kept.store = store
    assert (places.tables, places.signals) == (None, None)


def test_decoded_pictures_take_what_is_left(tmp_path):
    photos = make_classes(tmp_path / "photos", {"a": 20, "b": 20})
    plan = planned(train_job(config("train", "data=folder", f"data.path={photos}", *RANDOM)))
    images = plan.pieces.train_views.manifest.images
    held = sum(pixels.nbytes for pixels in images._kept.values())
    assert held + images.room == plan.phases[0].places.budget.left


def test_the_plan_says_who_shares_the_memory(training, tmp_path):
    plan = with_budget(training, 1 << 30)
    lines = plan_text.sheet(plan, tmp_path).plain.splitlines()
    (line,) = (x for x in lines if x.startswith("memory"))
    assert line.startswith("memory     1.1 GB may be kept: weights ")
    assert ", teacher " in line
    assert ", frozen outputs " in line
    small = plan_text.sheet(with_budget(training, 0), tmp_path).plain.splitlines()
    assert any(x.endswith("; teacher outputs read from disk") for x in small)


def test_a_phase_that_is_over_holds_no_table(training, monkeypatch):
    tables = []
    whole = Tables.outputs

    def outputs(*given):
        found = whole(*given)
        tables.extend(map(weakref.ref, found))
        return found

    monkeypatch.setattr(Tables, "outputs", outputs)
    plan = with_budget(training, 1 << 30)
    trainer = SimpleNamespace(phase=phase_of(plan))
    trainer.phase.run(0, 1)
    assert len(tables) >= 2
    assert all(table() is not None for table in tables)
    let_go(trainer, "phase")
    assert [table() for table in tables] == [None] * len(tables)
