"""Peak memory and seconds of distillation on maps, against another checkout, interleaved.

    python scripts/bench/budget.py PHOTOS --teacher RUN --before CHECKOUT --methods kd ofd review_kd

Each training is a process of its own, with caches of its own, that runs the words given. Prints for
each method the peak of resident memory without mapped files (MB) and seconds, before and now, and
their ratios; the order of the two changes from round to round.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parents[2]


def resident(pid: int) -> float:
    """MB of a process's own memory; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) / 1024 if found else 0.0


def measured(checkout: Path, words: list[str]) -> tuple[float, float]:
    """Peak MB and seconds of one `tl train`."""
    with tempfile.TemporaryDirectory(prefix="bench_budget_") as folder:
        command = [sys.executable, "-m", "tlcli.cli", "train", f"run_dir={folder}/run",
                   f"cache_dir={folder}/cache", *words]  # fmt: skip
        surroundings = {**os.environ, "PYTHONPATH": str(checkout)}
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=checkout, env=surroundings,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        peak, over = 0.0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, resident(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        _, shown = process.communicate()
        over.set()
        watcher.join()
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}\n{shown[-2000:]}")
        return peak, time.monotonic() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of class folders")
    parser.add_argument("--teacher", type=Path, required=True, help="run of a teacher")
    parser.add_argument("--before-teacher", type=Path, help="the same, as the checkout reads it")
    parser.add_argument("--before", type=Path, required=True, help="checkout to compare with")
    parser.add_argument("--methods", nargs="+", default=["kd", "ofd", "review_kd"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--words", nargs="*", default=[], help="further words of tl train")
    given = parser.parse_args()
    arms = {"before": given.before.resolve(), "now": HERE}
    teachers = {"before": given.before_teacher or given.teacher, "now": given.teacher}
    print(f"{'':<12} {'MB before':>9} {'now':>7} {'s before':>9} {'now':>7}   MB ratio  s ratio")
    for method in given.methods:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
        words = ["data=folder", f"data.path={given.photos.resolve()}", "teacher=run",
                 f"distillation={method}", *given.words]  # fmt: skip
        for number in range(given.rounds):
            for name in list(arms)[:: 1 if number % 2 == 0 else -1]:
                teacher = f"teacher.path={teachers[name].resolve()}"
                found[name].append(measured(arms[name], [*words, teacher]))
        peak, seconds = ([statistics.median(each[i] for each in found[name]) for name in arms]
                         for i in (0, 1))  # fmt: skip
        print(f"{method:<12} {peak[0]:9.0f} {peak[1]:7.0f} {seconds[0]:9.1f} {seconds[1]:7.1f}   "
              f"{peak[1] / peak[0]:8.2f} {seconds[1] / seconds[0]:8.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
