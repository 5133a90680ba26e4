"""Short trainings on digits, their weights, and `tl` as a process."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

from tests.helpers.words import checked

ROOT = Path(__file__).parents[2]
FEW = ("data.images_per_class=8", "batch_size=10")


def train_digits(run_dir, *words):
    """A short training on digits in this process; gives its folder."""
    # Here and not above: tests without TensorFlow shall not wait for it.
    from tlcli.commands import train

    given = {word.partition("=")[0] for word in words}
    given_page = [] if any(w.startswith("report") for w in given) else ["report=false"]
    few = [word for word in FEW if word.partition("=")[0] not in given and "data" not in given]
    # Photos get another network, which has no weights here.
    small = [] if "backbone" in given else ["backbone=tiny"]
    code = train.run(
        checked("train", f"run_dir={run_dir}", "epochs=2", *few, *small, *given_page, *words)
    )
    assert code == 0
    return Path(run_dir)


def read_weights(run_dir):
    """Arrays of a run's weights file by name."""
    found = {}
    with h5py.File(Path(run_dir) / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return found


def same_weights(first, second, **tolerance):
    """Compare the weights files of two runs."""
    first, second = read_weights(first), read_weights(second)
    assert list(first) == list(second)
    for name, array in first.items():
        if tolerance:
            np.testing.assert_allclose(array, second[name], err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(array, second[name], err_msg=name)


def environment():
    """What a process that runs the code of this folder is given."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


def process(*words, cwd, **options):
    """`tl` as a process, ended."""
    return subprocess.run(
        [sys.executable, "-m", "tlcli.cli", *map(str, words)],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False,
        **options,
    )  # fmt: skip
