"""Trainings of two steps: small digits, a backbone of two convolutions, tables found on disk."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.words import config
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts import GROUPS
from tlcli.data.views import Views
from tlcli.distill.attach import attach
from tlcli.training import plan, strategy
from tlcli.training.build import pieces_of
from tlcli.training.phase import PhaseTraining

WORDS = (
    "hardware=cpu", "data.images_per_class=4", "batch_size=10", "epochs=4", "image_size=16",
    "finetune=linear_probe", "backbone.output_layer=tiny_block2", "head.zero_init=false",
    "calibrate=false",
)  # fmt: skip
# What an option needs beside its own YAML; fixtures give files.
NEEDED = {
    ("finetune", "lora"): {"targets": ["tiny_block2_conv"]},
    ("head", "kernel"): {"num_features": 64},
    # With logits of 0 the query would move at the third step.
    ("head", "attention"): {"zero_init": False},
}


def values(group, name, **changes):
    """A group's values as composed when the option is chosen."""
    return {**registry.defaults(group, name), **NEEDED.get((group, name), {}), **changes}


def check_moves(trainer, before):
    """What the phase trains has moved, and nothing else of the student."""
    student = trainer.lesson.student.model
    averaged = {id(v) for v in trainer.averages.variables}
    for variable, old in zip(student.variables, before, strict=True):
        if "seed" in variable.path:
            continue
        moved = not np.array_equal(variable.numpy(), old)
        assert moved == (id(variable) in averaged), (variable.path, moved)
        assert np.isfinite(variable.numpy()).all(), variable.path


@contextlib.contextmanager
def run_eagerly():
    """Do not trace: a graph costs more than two steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


class Lab:
    """Trains two steps of any option."""

    eagerly = staticmethod(run_eagerly)
    values = staticmethod(values)

    def __init__(self, folder):
        self.base = config("train", *WORDS, f"cache_dir={folder}")

    def job(self, **changed):
        """The checked job; a group is given by its option's name or by values."""
        found = dict(self.base)
        for key, value in changed.items():
            named = key in GROUPS and isinstance(value, str)
            found[key] = values(key, value) if named else value
        return train_job(found)

    def pieces(self, **changed):
        return pieces_of(self.job(**changed))

    @staticmethod
    def phases(pieces):
        """Of each phase a function that makes it ready for its steps."""
        lesson = attach(pieces)
        found = strategy.phases(pieces, lesson)
        plans = [plan.phase_plan(pieces, lesson, phase, i) for i, phase in enumerate(found)]
        return [functools.partial(PhaseTraining, pieces, lesson, planned) for planned in plans]

    def steps(self, pieces, count=2):
        """Train two steps of the last phase; the last has everything that the first ones have."""
        trainer = self.phases(pieces)[-1]()
        before = [v.numpy().copy() for v in trainer.lesson.student.model.variables]
        figures = trainer.feed(0, count)
        assert len(figures) == count
        assert np.isfinite(figures).all()
        check_moves(trainer, before)
        return trainer, figures

    @staticmethod
    def with_options(pieces, **changed):
        """The same pieces with other options of groups that the model is not built from."""
        chosen = {**pieces.job.config, **{g: values(g, n) for g, n in changed.items()}}
        built = {g: registry.build(g, chosen[g]) for g in changed}
        job = dataclasses.replace(pieces.job, config=chosen, **built)
        views = pieces.train_views
        if "augmentation" in changed:
            views = Views(views.manifest, views.resize, job.augmentation, views.seed, views.workers)
        return dataclasses.replace(pieces, job=job, train_views=views)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("tables"))
