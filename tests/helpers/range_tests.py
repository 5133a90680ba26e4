"""Range tests of a small training."""

from dataclasses import replace

import numpy as np

from tests.helpers.trainings import planned
from tests.helpers.words import checked
from tlcli.training.plan import phase_plan
from tlcli.training.range_test import range_test

SMALL = ("data.images_per_class=8", "batch_size=10", "backbone.weights=none")


PARABOLA = (
    "finetune=linear_probe", "finetune.rate=1", "optimizer=sgd", "optimizer.momentum=0",
    "optimizer.clip_norm=null",
    "start=1e-5", "end=1", "steps=100",
)  # fmt: skip


def prepared(*words):
    given = checked("find-lr", *SMALL, *words)
    return planned(given.job), given.settings


def with_phases(plan, *phases):
    """The plan with other phases, each as of epoch 0."""
    made = [phase_plan(plan.pieces, plan.lesson, each, n) for n, each in enumerate(phases)]
    return replace(plan, phases=tuple(made))


def parabola():
    """A test on a parabola, with the weights before and after it."""
    plan, own = prepared(*PARABOLA)
    # The penalty is all but the whole loss: a parabola of curvature 1000 in each weight.
    plan = with_phases(plan, replace(plan.phases[0].phase, head_penalty=1000.0))
    # A head of zeros would start at the bottom.
    model = plan.lesson.student.model
    kernel = model.layers[-1].kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.1, kernel.shape))
    before = [v.numpy() for v in model.variables]
    curve = range_test(plan, own)
    after = [v.numpy() for v in model.variables]
    return curve, before, after, (plan, own)
