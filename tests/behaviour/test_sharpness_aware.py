"""The second pass of sharpness-aware minimisation sees a batch again, and counts it once."""

import numpy as np
import pytest

from tests.helpers.words import checked
from tlcli.distill.attach import attach
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of
from tlcli.training.phase import PhaseTraining

WORDS = (
    "hardware=cpu", "data.images_per_class=8", "batch_size=16", "epochs=1", "image_size=16",
    "finetune=full", "head.zero_init=false", "schedule.warmup=0",
    "optimizer=sgd", "optimizer.clip_norm=null",
    "precision=float32", "backbone.batch_norm=train",
)  # fmt: skip


@pytest.fixture
def after_one_step():
    """A function of words that gives what a training is made of after its first step."""

    def made(*words):
        pieces = pieces_of(checked("train", *WORDS, *words, "cache=off").job)
        lesson = attach(pieces)
        phase = PhaseTraining(pieces, lesson, plans.made(pieces, lesson).phases[0])
        phase.feed(0, 1)
        return lesson

    return made


def statistics(model):
    return {v.path: v.numpy() for v in model.variables if "moving" in v.path}


def test_batch_statistics_move_once(after_one_step):
    plain = statistics(after_one_step().student.model)
    twice = statistics(after_one_step("optimizer.sam=0.05").student.model)
    assert plain.keys() == twice.keys()
    assert plain
    for path, values in plain.items():
        np.testing.assert_allclose(twice[path], values, rtol=1e-6, err_msg=path)


def test_a_memory_moves_once(after_one_step, digits_run):
    words = ("distillation=crd", "teacher=run", f"teacher.path={digits_run}")
    plain, twice = (after_one_step(*words, *more).state for more in ((), ("optimizer.sam=0.05",)))
    assert plain.student_bank.shape[0] == 40
    for name in ("student_bank", "teacher_bank"):
        ours, theirs = (getattr(state, name).numpy() for state in (twice, plain))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
