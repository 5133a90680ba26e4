"""Workers as processes on this machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW = ("data.images_per_class=9", "batch_size=10", "epochs=2", "finetune=full", "calibrate=false")


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


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


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "words",
    [
        ("optimizer=sgd", "optimizer.clip_norm=0.5", "accumulation_steps=2"),
        ("optimizer=adamw", "augmentation=light", "augmentation.mixup=0.4"),
    ],
    ids=["sgd", "adamw"],
)
def test_workers_give_the_weights_of_one_process(
    start, train_digits, same_weights, tmp_path, size, words
):
    alone = train_digits(tmp_path / "alone", *FEW, *words)
    codes, told = ended(start(size, f"run_dir={tmp_path / 'run'}", *FEW, *words))
    assert codes == [0] * size, told
    same_weights(alone, tmp_path / "run", rtol=1e-5, atol=1e-6)
    first, second = (json.loads((d / "metrics.json").read_text())
                     for d in (alone, tmp_path / "run"))  # fmt: skip
    for split, figures in first.items():
        assert second[split] == pytest.approx(figures, rel=1e-5, abs=1e-6)
    assert (tmp_path / "run" / "worker_1.log").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_after_a_loss_the_others_end_and_a_restart_gives_the_unbroken_run(
    start, same_weights, tmp_path, victim
):
    words = (*FEW, "epochs=40", "save_every=4steps", "hardware.timeout=20")
    codes, told = ended(start(2, f"run_dir={tmp_path / 'whole'}", *words))
    assert codes == [0, 0], told
    processes = start(2, f"run_dir={tmp_path / 'run'}", *words)
    while not list((tmp_path / "run" / "state").glob("*.json")):
        assert all(p.poll() is None for p in processes), [p.communicate() for p in processes]
        time.sleep(0.01)
    processes[victim].send_signal(signal.SIGKILL)
    began = time.monotonic()
    codes, told = ended(processes)
    assert time.monotonic() - began < 40
    assert codes[1 - victim] == 75, told
    assert "Start all of them again" in told[1 - victim]
    codes, told = ended(start(2, f"run_dir={tmp_path / 'run'}", *words))
    assert codes == [0, 0], told
    assert "going on at phase 1" in told[0]
    same_weights(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_with_the_state_saved(start, tmp_path):
    processes = start(2, "run_dir=r", *FEW, "epochs=2000", "save_every=off")
    log = tmp_path / "r" / "worker_1.log"
    while not log.is_file() or "phase epoch" not in log.read_text():
        assert all(p.poll() is None for p in processes)
        time.sleep(0.05)
    time.sleep(2)
    processes[1].send_signal(signal.SIGTERM)
    codes, told = ended(processes)
    assert codes == [76, 76], told
    assert list((tmp_path / "r" / "state").glob("*.json"))
