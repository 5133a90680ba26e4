"""Memory that does not suffice is told in one line, with the batch to try and what is saved."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tlcli.cli import main
from tlcli.models.frozen import tables
from tlcli.runs import checkpoint
from tlcli.system import memory
from tlcli.training.step import TrainStep

WORDS = (
    "data.images_per_class=8", "batch_size=8", "epochs=3", "finetune=linear_probe",
    "save_every=2steps", "calibrate=false", "backbone.weights=none",
)  # fmt: skip


class Short:
    """A step function that has no memory from some step on."""

    def __init__(self, steps, last):
        self.steps, self.last = steps, last

    def __call__(self, rows, views, first):
        if first >= self.last:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return self.steps(rows, views, first)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A training whose steps from the fourth on do not fit: exit code, run, what was shown."""
    run_dir = tmp_path_factory.mktemp("short") / "run"
    whole = TrainStep.from_tables
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "from_tables", lambda *a: Short(whole(*a), 4))
        with pytest.MonkeyPatch.context() as shown:
            lines = []
            shown.setattr(main.sys.stderr, "write", lines.append)
            code = main.run(["train", f"run_dir={run_dir}", *WORDS])
    return code, run_dir, "".join(lines)


def test_a_step_without_memory_names_what_to_try(short):
    code, run_dir, shown = short
    assert code == 1
    message = next(line for line in shown.splitlines() if line.startswith("tl train: "))
    assert re.match(r"tl train: out of memory after step 4 of phase 1\. ", message)
    assert "Give batch_size=4 or accumulation_steps=2, which keeps the batch" in message
    assert f"of step 4 of phase 1, goes on with: tl train resume={run_dir} " in message
    assert "Traceback" not in shown
    assert not (run_dir / checkpoint.WEIGHTS).exists()


def test_the_training_goes_on_in_pieces(short, capsys):
    _, run_dir, _ = short
    assert main.run(["train", f"resume={run_dir}", "batch_size=4"]) == 2
    assert "batch_size was 8 and is 4" in capsys.readouterr().err
    assert main.run(["train", f"resume={run_dir}", "accumulation_steps=2"]) == 0
    assert "going on at phase 1, step 4" in capsys.readouterr().err
    config = checkpoint.read_json(run_dir / "config.json")
    assert (config["batch_size"], config["accumulation_steps"]) == (8, 2)


def test_tables_without_memory_name_the_key_that_does_without(tmp_path, capsys, monkeypatch):
    def full(*_):
        raise np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype("float32"))

    monkeypatch.setattr(tables, "in_memory", full)
    assert main.run(["train", f"run_dir={tmp_path / 'run'}", "cache=ram", *WORDS]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message == (
        "tl train: out of memory before phase 1. Give cache=off. No state was saved."
    )


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError), memory.told("here", "Rest."):
        1 / 0  # noqa: B018


def test_memory_of_numpy_and_of_tensorflow_is_told():
    for error in (MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")):
        refused = pytest.raises(memory.OutOfMemory, match=r"^out of memory here\. Rest\.$")
        with refused, memory.told("here", "Rest."):
            raise error


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, 8 << 30), ("max", 8 << 30), ("1073741824", 1 << 30)]
)
def test_the_total_is_the_machines_or_the_containers(tmp_path, limit, expected):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {8 << 20} kB\nMemAvailable: 5 kB\n")
    if limit is not None:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{limit}\n")
    assert memory.total(tmp_path) == expected
