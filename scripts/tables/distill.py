"""Train teachers, students and their controls over seeds in one process; print a table.

    python scripts/tables/distill.py runs/digits --teacher "data=digits epochs=8" \
        --student "data=digits distillation=kd epochs=30" --seeds 0 1 2

For each seed: a teacher, a student that learns from it, and the same student without it. Runs that
are finished in the folder are not trained again. `--split validation` gives the figures that a
set-up may be chosen by; those on test images are for reporting, once, on other seeds.
"""

import argparse
import contextlib
import json
import math
import os
import shlex
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def train(run_dir: Path, words: list[str]) -> None:
    """One training as `tl train` does it, without another start of Python and TensorFlow."""
    from tlcli.commands.train import run
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    if (run_dir / "model.weights.h5").is_file() and "control=true" not in words:
        return
    log = run_dir.with_suffix(".txt")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(file):
        run(check_request(compose.read("train", [*words, f"run_dir={run_dir}"])))


def accuracy(run: Path, split: str) -> float:
    """Accuracy of a finished run on a split."""
    return float(json.loads((run / "metrics.json").read_text())[split]["accuracy"])


def summary(values: list[float]) -> tuple[float, float, float]:
    """Mean, sample deviation, and the mean's standard error."""
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.mean(values), deviation, deviation / math.sqrt(len(values))


def table(folder: Path, seeds: list[int], split: str) -> list[str]:
    """One line a model, and the paired difference of distilled students and controls."""
    found = {
        "teacher": [accuracy(folder / f"teacher-{seed}", split) for seed in seeds],
        "control": [accuracy(folder / f"student-{seed}" / "control", split) for seed in seeds],
        "distilled": [accuracy(folder / f"student-{seed}", split) for seed in seeds],
    }
    pairs = zip(found["distilled"], found["control"], strict=True)
    found["distilled - control"] = [ours - theirs for ours, theirs in pairs]
    head = f"{split + ' accuracy':<20} {'mean':>8} {'± sd':>8} {'± s.e.':>8}"
    lines = [f"{head}  seeds {', '.join(map(str, seeds))}"]
    for name, values in found.items():
        shown = "  ".join(f"{value:+.4f}" if "-" in name else f"{value:.4f}" for value in values)
        numbers = " ".join(f"{number:8.4f}" for number in summary(values))
        lines.append(f"{name:<20} {numbers}  {shown}")
    return lines


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--teacher", required=True, help="words of tl train for the teacher")
    parser.add_argument("--student", required=True, help="words of tl train for the student")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    given = parser.parse_args()
    started, cpu = time.monotonic(), time.process_time()
    for seed in given.seeds:
        teacher = given.folder / f"teacher-{seed}"
        train(teacher, [*shlex.split(given.teacher), f"seed={seed}"])
        path = f"teacher.path={shlex.quote(str(teacher))}"
        words = [*shlex.split(given.student), "teacher=run", path, "control=true", f"seed={seed}"]
        train(given.folder / f"student-{seed}", words)
        print(f"seed {seed} done after {time.monotonic() - started:.0f} s", flush=True)
    print("\n".join(table(given.folder, given.seeds, given.split)))
    seconds = time.monotonic() - started
    print(f"{seconds:.0f} seconds, {time.process_time() - cpu:.0f} of CPU time")


if __name__ == "__main__":
    main()
