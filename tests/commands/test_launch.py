"""Workers under supervision; most are small programs that stand for trainings."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.launched import kill
from tests.helpers.runs import read_weights, train_digits
from tlcli.commands import launch

OBEY = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(76))
print('ready', flush=True)
time.sleep(60)
"""

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"

CODE = """
import sys
from tlcli.system.supervisor import Supervisor
from tlcli.system.workers import local, written
lines = [[sys.executable, '-S', '-c', program] for program in sys.argv[1:]]
sys.exit(Supervisor(lambda *_: local(lines, written), len(lines), 3, 1.0).run())
"""


@pytest.mark.parametrize(("second", "code"), [(OBEY, 76), (DEAF, 75)], ids=["obeys", "deaf"])
def test_a_signal_reaches_the_workers_and_nothing_starts_again(second, code):
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, OBEY, second], stdout=subprocess.PIPE, text=True
    )
    for _ in range(2 if second is OBEY else 1):
        assert process.stdout.readline().endswith("ready\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == code
    process.stdout.close()


def test_each_worker_gets_its_rank_and_all_the_same_addresses():
    found = launch.commands(["train", "epochs=3"], ["a:1", "a:2", "b:1"])
    assert {line[6] for line in found} == {"hardware.workers=[a:1,a:2,b:1]"}
    assert [line[-1] for line in found] == [f"hardware.rank={n}" for n in range(3)]
    assert all(line[3:6] == ["train", "epochs=3", "hardware=multi_worker"] for line in found)


@pytest.mark.slow
def test_two_workers_train_one_run_after_one_was_killed(tmp_path, start_tl):
    words = ["launch", "2", "grace=20", "--", "train", "run_dir=run", "data.images_per_class=9",
             "batch_size=10", "epochs=60", "finetune=full", "save_every=4steps",
             "hardware.timeout=60", "hardware.threads=1"]  # fmt: skip
    process = start_tl(*words)
    kill(process, 1, lambda _: any((tmp_path / "run" / "state").glob("*.json")))
    _, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    assert "starting all again, 3 of such left" in told
    assert "[0] going on at phase 1" in told
    assert (tmp_path / "run" / "metrics.json").is_file()


@pytest.mark.slow
@pytest.mark.long
def test_a_training_goes_on_with_two_of_three_and_ends_as_the_unbroken_one(tmp_path, start_tl):
    words = ("data.images_per_class=80", "batch_size=4", "epochs=2", "finetune=full",
             "backbone.batch_norm=train", "optimizer=sgd", "calibrate=false")  # fmt: skip
    whole = train_digits(tmp_path / "whole", *words)
    process = start_tl("launch", "3", "elastic=1", "returns=1", "--", "train", "run_dir=run",
                       "backbone=tiny", "report=false", "save_every=8steps", "hardware.timeout=60",
                       "hardware.threads=1", *words)  # fmt: skip
    kill(process, 1, lambda _: any((tmp_path / "run" / "state").glob("*.json")))
    _, told = process.communicate(timeout=500)
    assert process.returncode == 0, told
    assert "1 (SIGKILL)" in told
    assert "going on with 2, 3 of such left" in told
    assert "a state is saved; starting all 3 workers from it" in told
    assert told.count("[0] going on at phase 1") == 2, told
    ours, theirs = (
        np.concatenate([a.ravel() for a in read_weights(folder).values()])
        for folder in (whole, tmp_path / "run")
    )
    assert np.linalg.norm(theirs - ours) <= 1e-5 * np.linalg.norm(ours)
    one, other = (
        json.loads((folder / "metrics.json").read_text()) for folder in (whole, tmp_path / "run")
    )
    for split in ("validation", "test"):
        assert other[split] == pytest.approx(one[split], rel=1e-6, abs=1e-6)
