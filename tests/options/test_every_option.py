"""Every YAML of the groups that shape a step trains two steps; a new file is covered by itself."""

import contextlib

import pytest

from tests.helpers.trainings import streams
from tlcli.config import registry
from tlcli.errors import ConfigError
from tlcli.training.checks import check_data

GROUPS = ("optimizer", "schedule", "loss", "head", "finetune", "augmentation")
OPTIONS = [(group, path.stem) for group in GROUPS
           for path in sorted((registry.config_root() / group).glob("*.yaml"))]  # fmt: skip
# Trained where it belongs, on several labels an image, by tests of its own below.
REFUSED = {("loss", "asymmetric"): ("loss", "Give loss=cross_entropy.")}


@pytest.fixture(scope="module")
def bare(lab):
    """Pieces whose options are exchanged, and the weights they begin with."""
    pieces = lab.pieces()
    start = [v.numpy().copy() for v in pieces.student.model.variables]
    return pieces, start


@pytest.mark.parametrize(("group", "name"), OPTIONS, ids=lambda v: v)
def test_every_option_trains_two_steps(lab, bare, group, name):
    if (group, name) in REFUSED:
        where, remedy = REFUSED[group, name]
        with pytest.raises(ConfigError) as caught:
            check_data(lab.job(**{group: name}), bare[0].manifest)
        assert (caught.value.where, caught.value.remedy) == (where, remedy)
        return
    if group == "head" or name == "lora":  # these make another model
        pieces = lab.pieces(**{group: name})
    else:
        pieces, start = bare
        for variable, value in zip(pieces.student.model.variables, start, strict=True):
            variable.assign(value)
        pieces = lab.with_options(pieces, **{group: name})
        check_data(pieces.job, pieces.manifest)
    # Their own tests compile optimizers, schedules and losses; the others run as in a training.
    plain = group in ("optimizer", "schedule", "loss")
    with lab.eagerly() if plain else contextlib.nullcontext():
        trainer, _ = lab.steps(pieces)
    mixes = pieces.job.augmentation.mix is not None
    assert streams(trainer) == (mixes or pieces.train_views.finite is None)
