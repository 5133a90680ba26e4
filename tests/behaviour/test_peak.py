"""The peak of a training's own memory: a floor, the budget, one batch at work; and no more."""

import re
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.runs import ROOT, train_digits

MEGABYTE = 1 << 20
# Memory of the process's own, without files that are mapped, every few milliseconds.
PROGRAM = """
import sys, threading, time

peak = 0


def own():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


def watch():
    global peak
    while True:
        peak = max(peak, own())
        time.sleep(0.005)


threading.Thread(target=watch, daemon=True).start()
from tlcli.cli import main
from tlcli.system import memory

share = float(sys.argv[1])
memory.free = lambda: 1 << 30
code = main.run(sys.argv[2:] + [f"cache_memory={share}"])
print("PEAK", peak)
sys.exit(code)
"""
COUNT, SIDE = 1500, 32
WORDS = (
    "data=npy", "backbone=tiny", "backbone.weights=none", "backbone.output_layer=tiny_block3",
    "finetune=partial", "epochs=1", "hardware=cpu", "batch_size=16", "calibrate=false",
    "save_every=off", f"image_size={SIDE}", "distillation=fitnet", "teacher=run", "verbose=true",
    "teacher.minimum_accuracy=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Words of a training whose teacher has large maps, on pictures mapped from disk."""
    folder = tmp_path_factory.mktemp("peak")
    rng = np.random.default_rng(0)
    data = folder / "data"
    data.mkdir()
    labels = np.arange(COUNT) % 2
    np.save(data / "train_labels.npy", labels)
    np.save(data / "train_data.npy", rng.integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8))
    teacher = train_digits(folder / "teacher", "data=npy", f"data.path={data}", "epochs=0.1",
                           f"image_size={SIDE}", "backbone.weights=none")  # fmt: skip
    return (f"data.path={data}", *WORDS, f"teacher.path={teacher}")


def trained(words, run, share):
    """Peak of the process's own memory, MB, and what it showed."""
    command = [sys.executable, "-c", PROGRAM, str(share), "train", f"run_dir={run}",
               f"cache_dir={run}-cache", *words]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return int(re.findall(r"PEAK (\d+)", found.stdout)[0]) / 1024, found.stderr


def budget_of(shown):
    """MB that may be kept, and those that are, as the plan says it."""
    (line,) = (line for line in shown.splitlines() if line.startswith("memory "))
    sizes = [float(n) * (1000 if unit == "GB" else 1)
             for n, unit in re.findall(r"([\d.]+) (GB|MB)", line)]  # fmt: skip
    return sizes[0], sum(sizes[1:])


@pytest.mark.slow
@pytest.mark.long
def test_the_peak_is_at_most_the_floor_the_budget_and_a_batch(words, tmp_path):
    floor, _ = trained((*words, "cache=off"), tmp_path / "floor", 0.5)
    room = 40.0  # of what a batch, the block of a store and the allocator's leavings take
    for share, mapped in ((0.5, False), (0.02, True)):
        peak, shown = trained(words, tmp_path / f"run{share}", share)
        budget, kept = budget_of(shown)
        assert ("read from disk" in shown) is mapped
        assert kept <= budget
        # A second copy of what is kept would not fit in here.
        assert kept > 2 * room or mapped
        assert peak <= floor + kept + room, shown
