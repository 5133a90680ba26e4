"""Kill a distillation in two phases again and again, and compare it with an unbroken run.

    python scripts/make/kill_resume.py --kills 24 --seed 0

Trains a teacher on the embedded digits, then a student by contrastive representation distillation
(it has connectors, a memory bank, dropout, a moving average and two phases): once unbroken, once
with SIGKILL at moments of five kinds. The weights must be equal bit by bit, metrics.csv and
metrics.json letter by letter. Ends with 1 when they are not.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

SECOND_PHASE = 10**8  # states of phase 2 are numbered from here
WORDS = (
    "data.images_per_class=40", "data.validation_fraction=0.2", "batch_size=16", "head=mlp",
    "head.hidden=[16]", "head.dropout=0.2", "finetune=lp_ft", "optimizer.ema=0.99",
    "augmentation=light", "save_every=2steps", "distillation=crd", "calibrate=false",
)  # fmt: skip


@dataclass
class Kill:
    """One SIGKILL: what was waited for, how far the run was, and what it went on from."""

    kind: str
    seconds: float
    state: int
    torn: int


def command(*words: object) -> list[str]:
    """The command line of tl in this Python."""
    return [sys.executable, "-m", "tlcli.cli", *map(str, words)]


def finish(*words: object) -> None:
    """Run tl to its end."""
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"tl ended with {done.returncode}: {done.stderr[-2000:]}")


def newest(run: Path) -> int:
    """Number of the newest state with a description; 0 when there is none."""
    return max((int(p.stem) for p in (run / "state").glob("0*.json")), default=0)


def half_written(run: Path) -> int:
    """How many files of the state are being written."""
    return sum(1 for _ in (run / "state").glob(".*.npz.*"))


def head_is_trained(run: Path, rows: int, since: float) -> bool:
    """Whether metrics.csv was written since a time and has all rows of phase 1."""
    path = run / "metrics.csv"
    fresh = path.is_file() and path.stat().st_mtime > since
    return fresh and path.read_text().count("\n0,") >= rows


def kinds(kills: int) -> list[str]:
    """Moments in the order in which a run meets them."""
    first = ["first step", "step", "save", "step", "save"]
    change = ["phase change"] * max(1, kills // 6)
    rest = ["second phase", "save"] * kills
    return (first[: kills // 3] + change + rest)[:kills]


def kill(run: Path, words: list[str], kind: str, rows: int, draw: random.Random) -> Kill:
    """Start or go on with the run, wait for the moment, kill it."""
    before, started = newest(run), time.time()
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    moments = {
        "first step": lambda: (run / "train.log").is_file(),
        "step": lambda: newest(run) > before,
        "save": lambda: newest(run) > before and half_written(run),
        "phase change": lambda: head_is_trained(run, rows, started),
        "second phase": lambda: newest(run) > max(before, SECOND_PHASE),
    }
    while not moments[kind]():
        if process.poll() is not None:
            errors = process.stderr.read() if process.stderr else ""
            sys.exit(f"the run ended before the kill; give more --epochs. {errors[-1500:]}")
        time.sleep(0.0005)
    if kind != "save":
        time.sleep(draw.uniform(0, 1.5 if kind == "phase change" else 0.4))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return Kill(kind, time.time() - started, newest(run), half_written(run))


def arrays(run: Path) -> dict[str, np.ndarray]:
    """Weights of a run by name."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(run / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return found


def differing(first: Path, second: Path) -> list[str]:
    """What of two runs is not the same."""
    one, other = arrays(first), arrays(second)
    found = [name for name in one.keys() | other.keys()
             if name not in one or name not in other
             or one[name].tobytes() != other[name].tobytes()]  # fmt: skip
    texts = ("metrics.csv", "metrics.json", "split.csv")
    return found + [n for n in texts if (first / n).read_text() != (second / n).read_text()]


def shown(number: int) -> str:
    """A state's number as phase and step."""
    return f"phase {number // SECOND_PHASE + 1} step {number % SECOND_PHASE}" if number else "none"


def main() -> int:
    """Train, kill, compare; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="kill_resume_"))
    teacher, unbroken, run = folder / "teacher", folder / "unbroken", folder / "killed"
    finish("train", f"run_dir={teacher}", "epochs=2", "data.images_per_class=40")
    words = ["train", *WORDS, f"epochs={given.epochs}", "teacher=run", f"teacher.path={teacher}"]
    started = time.monotonic()
    finish(*words, f"run_dir={unbroken}")
    print(f"unbroken run: {time.monotonic() - started:.0f} s", flush=True)
    rows = (unbroken / "metrics.csv").read_text().count("\n0,")
    draw = random.Random(given.seed)  # noqa: S311 - moments, not secrets
    print(f"{'kill':>4} {'at':<14}{'after':>8}  {'newest whole state':<22}{'half-written':>12}")
    for number, kind in enumerate(kinds(given.kills)):
        done = kill(run, [*words, f"run_dir={run}"], kind, rows, draw)
        print(f"{number + 1:>4} {done.kind:<14}{done.seconds:>6.1f} s  {shown(done.state):<22}"
              f"{done.torn:>12}", flush=True)  # fmt: skip
    finish("train", f"resume={run}")
    different = differing(unbroken, run)
    count = len(arrays(run))
    verdict = f"differ: {', '.join(different[:5])}" if different else "are equal bit by bit"
    print(f"after {given.kills} kills, {count} arrays and the metrics {verdict}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
