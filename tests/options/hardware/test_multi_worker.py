"""Workers as processes on this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.devices import free_ports, train_all
from tests.helpers.runs import same_weights

ROOT = Path(__file__).parents[3]
FEW = ("data.images_per_class=9", "batch_size=10", "epochs=2", "finetune=full", "calibrate=false")


@pytest.fixture
def start(tmp_path):
    """Start some of `size` workers; each is ended with the test."""
    started = []

    def run(size, *words, ranks=None):
        workers = [f"127.0.0.1:{port}" for port in free_ports(size)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        found = []
        for rank in range(size) if ranks is None else ranks:
            process = subprocess.Popen(
                [sys.executable, "-m", "tlcli.cli", "train", "hardware=multi_worker",
                 f"hardware.workers=[{','.join(workers)}]", f"hardware.rank={rank}",
                 "hardware.threads=1", *words],
                cwd=tmp_path, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            found.append(process)
        started.extend(found)
        return found

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(processes):
    """Exit codes and what each wrote to standard error."""
    told = [process.communicate(timeout=240)[1] for process in processes]
    return [process.returncode for process in processes], told


def test_a_worker_whose_peer_never_starts_ends_in_time(start):
    began = time.monotonic()
    codes, told = ended(start(2, "run_dir=r", "hardware.timeout=2", ranks=[0]))
    assert codes == [75]
    assert "did not start within 2 s (hardware.timeout)" in told[0]
    assert "Traceback" not in told[0]
    assert time.monotonic() - began < 60


LONG = (*FEW, "epochs=40", "save_every=4steps", "hardware.timeout=20")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two workers that nothing broke."""
    jobs = {"whole": LONG}
    return train_all("2", jobs, tmp_path_factory.mktemp("whole"))["whole"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "fate"),
    [
        pytest.param(0, signal.SIGKILL, marks=pytest.mark.long),
        pytest.param(1, signal.SIGKILL, marks=pytest.mark.long),
        (1, signal.SIGSTOP),
    ],
)
def test_after_a_loss_the_others_end_and_a_restart_gives_the_unbroken_run(
    start, tmp_path, whole, victim, fate
):
    words = (f"run_dir={tmp_path / 'run'}", *LONG)
    processes = start(2, *words)
    while not list((tmp_path / "run" / "state").glob("*.json")):
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes]
        time.sleep(0.01)
    processes[victim].send_signal(fate)
    began = time.monotonic()
    told = processes[1 - victim].communicate(timeout=240)[1]
    # The end of a process whose peers are gone may itself take ten seconds.
    assert time.monotonic() - began < 40
    assert processes[1 - victim].returncode == 75, told
    assert "Start all of them again" in told
    processes[victim].kill()
    processes[victim].communicate()
    codes, told = ended(start(2, *words))
    assert codes == [0, 0], told
    assert "going on at phase 1" in told[0]
    same_weights(whole, tmp_path / "run")


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_with_the_state_saved(start, tmp_path):
    words = ("epochs=2000", "save_every=off", "backbone.batch_norm=train")
    processes = start(2, "run_dir=r", *FEW, *words)
    log = tmp_path / "r" / "worker_1.log"
    while not log.is_file() or log.read_text().count("\n    1 ") < 20:
        assert all(p.poll() is None for p in processes)
        time.sleep(0.05)
    # Each wait for the others may take 300 s: no thread stays behind for any.
    assert all(len(os.listdir(f"/proc/{p.pid}/task")) < 200 for p in processes)
    processes[1].send_signal(signal.SIGTERM)
    codes, told = ended(processes)
    assert codes == [76, 76], told
    assert list((tmp_path / "r" / "state").glob("*.json"))
