"""Trainings in turn in one process, or in several that train together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNER = """
import json, sys
from tlcli.commands import train
from tlcli.config import compose
from tlcli.config.checking import check_request
for words in json.loads(sys.argv[1]):
    assert train.run(check_request(compose.read("train", words))) == 0
"""


def free_ports(count):
    """Ports of this machine that are free now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


def kinds(devices):
    """Words that choose the devices, for each process."""
    if devices == "one":
        return [["hardware=cpu"]]
    if devices == "two devices":
        return [["hardware=mirrored"]]
    workers = [f"127.0.0.1:{port}" for port in free_ports(int(devices))]
    return [
        ["hardware=multi_worker", f"hardware.workers=[{','.join(workers)}]", f"hardware.rank={n}"]
        for n in range(len(workers))
    ]


def train_all(devices, jobs, base):
    """Train each of some jobs {name: words} on some devices; gives the folders by name."""
    folders = {name: Path(base) / name for name in jobs}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    started = []
    for kind in kinds(devices):
        words = [
            [f"run_dir={folders[name]}", *kind, "hardware.threads=1", "report=false",
             *map(str, words)]
            for name, words in jobs.items()
        ]  # fmt: skip
        command = [sys.executable, "-c", RUNNER, json.dumps(words)]
        started.append(
            subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        )
    try:
        told = [process.communicate(timeout=1800)[1] for process in started]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
    assert [p.returncode for p in started] == [0] * len(started), told[0][-3000:]
    return folders
