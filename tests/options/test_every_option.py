"""Every YAML of the groups that shape a step trains two steps; a new file is covered by itself."""

import contextlib

import pytest

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
    """A run whose options are exchanged, and the weights it begins with."""
    run = lab.prepared()
    start = [v.numpy().copy() for v in run.student.model.variables]
    return run, start


@pytest.mark.parametrize(("group", "name"), OPTIONS, ids=lambda v: v)
def test_every_option_trains_two_steps(lab, bare, group, name):
    if (group, name) in REFUSED:
        where, remedy = REFUSED[group, name]
        with pytest.raises(ConfigError) as caught:
            check_data(lab.job(**{group: name}), bare[0].manifest)
        assert (caught.value.where, caught.value.remedy) == (where, remedy)
        return
    if group == "head" or name == "lora":  # these make another model
        run = lab.prepared(**{group: name})
    else:
        run, start = bare
        for variable, value in zip(run.student.model.variables, start, strict=True):
            variable.assign(value)
        run = lab.with_options(run, **{group: name})
        check_data(run.job, run.manifest)
    # Their own tests compile optimizers, schedules and losses; the others run as in a training.
    plain = group in ("optimizer", "schedule", "loss")
    with lab.eagerly() if plain else contextlib.nullcontext():
        trainer, _ = lab.steps(run)
    mixes = run.job.augmentation.mix is not None
    assert trainer.source == ("streamed" if mixes or run.train_views.finite is None else "cached")
