"""Methods and strategies train on two devices, and in two processes the same."""

import numpy as np
import pytest

from tests.helpers.devices import train_all
from tests.helpers.marks import LONG
from tests.helpers.runs import read_weights, train_digits
from tlcli.config import registry

# 45 images in batches of 24 are two steps an epoch.
TWO = ("data.images_per_class=9", "batch_size=24", "epochs=1", "calibrate=false")
METHODS = ("kd", "fitnet", "crd", "rkd", "mean_teacher")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Words by name."""
    teacher = train_digits(tmp_path_factory.mktemp("taught") / "teacher", "epochs=8")
    taught = ("finetune=full", "teacher=run", f"teacher.path={teacher}",
              "teacher.minimum_accuracy=0")  # fmt: skip
    found = {m: (*TWO, f"distillation={m}", *taught) for m in METHODS if m != "mean_teacher"}
    found["mean_teacher"] = (*TWO, "distillation=mean_teacher", "finetune=full")
    found |= {f: (*TWO, f"finetune={f}", "epochs=2") for f in registry.names("finetune")}
    found["lora"] += ("finetune.targets=[tiny_block4_conv]",)
    found["local"] = (*TWO, "finetune=full", "backbone.batch_norm=train",
                      "hardware.batch_norm=local")  # fmt: skip
    return found


# With memories, averages and layers of their own; all others before a release.
DEALT = {"kd", "crd", "mean_teacher", "lora", "lp_ft", "local"}


@pytest.mark.parametrize(
    "some", [pytest.param(True, marks=pytest.mark.slow), pytest.param(False, marks=LONG)]
)
def test_two_devices_and_two_processes_train_all_alike(jobs, tmp_path, some):
    chosen = {name: words for name, words in jobs.items() if (name in DEALT) == some}
    devices = train_all("two devices", chosen, tmp_path / "devices")
    processes = train_all("2", chosen, tmp_path / "processes")
    for name in chosen:
        first, second = (
            np.concatenate([a.ravel() for a in read_weights(runs[name]).values()])
            for runs in (devices, processes)
        )
        assert np.isfinite(first).all(), name
        assert np.linalg.norm(second - first) <= 1e-5 * np.linalg.norm(first), name
