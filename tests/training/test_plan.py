"""The plan of a training: looking at it moves nothing, and its phases are trained as it says."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.trainings import phase_of, streams
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.models import trainable
from tlcli.system import memory
from tlcli.training import plan as plans
from tlcli.training import plan_text
from tlcli.training.build import pieces_of
from tlcli.training.frozen_part import cached_split

WORDS = (
    "hardware=cpu", "data.images_per_class=4", "batch_size=8", "epochs=4", "finetune=lp_ft",
    "distillation=kd", "teacher=run", "teacher.minimum_accuracy=0", "calibrate=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def training(digits_run):
    """Pieces and lesson of a linear probe, then full fine-tuning, both by a teacher."""
    pieces = pieces_of(train_job(config("train", *WORDS, f"teacher.path={digits_run}")))
    return pieces, attach(pieces)


@pytest.fixture(scope="module")
def plan(training):
    return plans.made(*training)


def everything(lesson):
    """Values and marks of all variables, and the marks of all layers, of student and teacher."""
    built = lesson.teacher.built
    networks = [lesson.student.model, lesson.student.extended, built.model, built.classifier]
    variables = [*lesson.variables, *(v for network in networks for v in network.variables)]
    layers = [layer for network in networks for layer in network._flatten_layers()]
    marks = [(layer.name, layer.trainable) for layer in layers]
    return [v.numpy() for v in variables], [(v.path, v.trainable) for v in variables], marks


def check_unmoved(lesson, before):
    values, *marks = everything(lesson)
    assert marks == list(before[1:])
    for (path, _), now, then in zip(marks[0], values, before[0], strict=True):
        np.testing.assert_array_equal(now, then, path)


def test_planning_and_printing_the_plan_change_nothing(training, tmp_path):
    pieces, lesson = training
    before = everything(lesson)
    plan = plans.made(pieces, lesson)
    check_unmoved(lesson, before)
    first = plan_text.sheet(plan, tmp_path), plan_text.drawn_schedule(plan)
    check_unmoved(lesson, before)
    assert (plan_text.sheet(plan, tmp_path), plan_text.drawn_schedule(plan)) == first
    assert not any(tmp_path.iterdir())


def test_a_plan_made_after_printing_decides_the_same(training, tmp_path):
    pieces, lesson = training
    plan = plans.made(pieces, lesson)
    before = [dataclasses.replace(phase) for phase in plan.phases]
    plan_text.sheet(plan, tmp_path)
    plan_text.drawn_schedule(plan)
    for found in (plan, plans.made(pieces, lesson)):
        for now, then in zip(found.phases, before, strict=True):
            assert now.places.tables is not None
            for name in ("places", "rates", "phase", "blocks", "trained", "sizes", "total_steps"):
                assert getattr(now, name) == getattr(then, name), name
            assert dataclasses.asdict(now.order) == dataclasses.asdict(then.order)
            np.testing.assert_array_equal(now.rate_table, then.rate_table)
            assert same_cut(now.cut, then.cut)


def test_printing_tells_what_was_decided_whatever_memory_is_free_by_then(
    plan, tmp_path, monkeypatch
):
    def asked():
        raise AssertionError("the plan was made already")

    monkeypatch.setattr(memory, "free", asked)
    text = plan_text.sheet(plan, tmp_path).plain
    assert plan.phases[0].cut.prefix is not None
    assert f"kept, {plan.phases[0].places.tables}" in text
    assert text.count("kept, ") == 1


def same_cut(one, other):
    """Whether two cuts lie at the same tensors and leave the same layers on each side."""

    def names(network):
        return None if network is None else [layer.name for layer in network.layers][1:]

    parts = [(names(cut.prefix), names(cut.suffix), [t.shape for t in cut.suffix.inputs])
             for cut in (one, other)]  # fmt: skip
    return parts[0] == parts[1]


def test_each_phase_trains_at_the_rates_and_from_the_cut_of_its_plan(plan):
    pieces, lesson = plan.pieces, plan.lesson
    model = lesson.student.model
    assert [phase.cut.prefix is None for phase in plan.phases] == [False, True]
    for index, planned in enumerate(plan.phases):
        phase = phase_of(plan, index)
        parts, cut = phase.step.parts, planned.cut
        # What the plan says without marking the network is what marking it gives.
        assert trainable.rates(model, planned.phase, pieces.batch_norm) == planned.rates
        assert same_cut(cached_split(lesson), cut)
        paths = [v.path for v in phase.variables]
        assert len(paths) == len(planned.rates)
        assert set(paths) == set(planned.rates)
        assert list(phase.optimizer._rates) == [planned.rates[path] for path in paths]
        table = np.asarray(planned.rate_table, np.float32)
        np.testing.assert_array_equal(phase.optimizer._learning_rate.values, table)
        assert parts.suffix is cut.suffix
        assert parts.from_pictures == (cut.prefix is None)
        assert (parts.order, parts.total_steps) == (planned.order, len(table))
        assert phase.validation.model.outputs[0] is cut.suffix.outputs[0]
        assert streams(phase) == (planned.places.tables is None or planned.places.tables.mapped)
        before = {v.path: v.numpy() for v in model.variables}
        assert np.isfinite(phase.feed(0, 2)).all()
        moved = {v.path for v in model.variables if not np.array_equal(v.numpy(), before[v.path])}
        assert moved == set(planned.rates)
