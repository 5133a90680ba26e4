"""What each strategy freezes is the same afterwards, bit by bit; what it trains has moved."""

import numpy as np
import pytest

from tests.helpers.trainings import planned
from tests.helpers.words import config
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts.finetune import Block
from tlcli.training.trainer import Trainer

BLOCKS = [Block(n, (f"{n}_conv", f"{n}_norm")) for n in ("stem", "one", "two")] + [
    Block("head", ("head_dense",))
]
TRAINED = {
    "linear_probe": "head", "bitfit": "some", "partial": "some", "gradual": "all", "full": "all",
    "lp_ft": "all", "l2_sp": "all", "discriminative": "all", "wise_ft": "all",
}  # fmt: skip


def option(name):
    return registry.build("finetune", config("train", f"finetune={name}")["finetune"])


@pytest.mark.parametrize("name", TRAINED)
def test_phases_share_the_epochs(name):
    phases = option(name).phases(BLOCKS, 12.0)
    assert sum(p.epochs for p in phases) == pytest.approx(12)
    layers = {layer for block in BLOCKS for layer in block.layers}
    for phase in phases:
        assert set(phase.rates) <= layers
        assert all(rate > 0 for rate in phase.rates.values())
        assert "head_dense" in phase.rates


def trained(run_dir, name):
    """Variables of the student before and after, by path, and the paths of its statistics."""
    # Without validation the last weights are kept, not those of the best epoch.
    words = ("data.images_per_class=8", "batch_size=10", "epochs=2", "data.validation_fraction=0")
    job = train_job(config("train", f"finetune={name}", f"run_dir={run_dir}", *words))
    plan = planned(job)
    variables = plan.lesson.student.model.variables
    before = {v.path: v.numpy().copy() for v in variables}
    run_dir.mkdir()
    Trainer(plan, run_dir).run(None)
    return before, {v.path: v.numpy() for v in variables}


@pytest.mark.parametrize("name", TRAINED)
def test_frozen_weights_and_statistics_stay(tmp_path, name):
    before, after = trained(tmp_path / "run", name)
    moved = {n for n in before if not np.array_equal(before[n], after[n])}
    backbone = {n for n in before if not n.startswith("head")}
    assert moved - backbone, "the head is trained by every strategy"
    assert not {n for n in moved if "moving_" in n}
    if TRAINED[name] == "head":
        assert not moved & backbone
    elif name == "bitfit":
        assert {n.split("/")[-1] for n in moved & backbone} <= {"bias", "beta", "gamma"}
    elif name == "partial":
        assert not {n for n in moved if "block1" in n}
        assert {n for n in moved if "block4" in n}
    else:
        kernels = {n for n in backbone if n.endswith("kernel")}
        assert moved & kernels
