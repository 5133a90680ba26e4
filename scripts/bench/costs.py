"""What starts, predictions and a first epoch cost beside another checkout, in turn.

    python scripts/bench/costs.py OTHER_CHECKOUT --images 300000 --photos FOLDER

Rows: listing of files or shards with an empty cache (first), and with what that left (second), each
in a process that imports TensorFlow first, which is not counted; `tl predict` of tiny pictures; and
a training of one epoch on photos under random augmentation, both as whole processes. The two
checkouts take turns, the order changes from round to round; printed are medians of wall seconds,
their ratio, and the ratio of CPU seconds, which other programs disturb less. The CPU seconds of a
command are those of the whole process. The cache of a first start is removed before each.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import manifest

HERE = Path(__file__).parents[2]
# From a checkout and a folder of its own to wall and CPU seconds.
Arm = Callable[[Path, Path], tuple[float, float]]


def process(checkout: Path, command: Sequence[object]) -> str:
    """Standard output of a Python process that imports `tlcli` from a checkout."""
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=checkout, env=env)
    if done.returncode:
        raise SystemExit(f"{checkout}: {' '.join(words)}\n{done.stderr[-2000:]}")
    return done.stdout


def tl(checkout: Path, *words: object) -> str:
    """Standard output of `tl`."""
    return process(checkout, ["-m", "tlcli.cli", *words])


def children() -> float:
    """CPU seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def started(values: dict[str, object], first: bool) -> Arm:
    """Seconds until a first batch is decoded."""

    def arm(checkout: Path, folder: Path) -> float:
        script = checkout / "scripts" / "bench" / "manifest.py"
        script = script if script.is_file() else checkout / "scripts" / "bench_manifest.py"
        cache = folder / f"cache_{values['name']}"
        if first:
            shutil.rmtree(cache, ignore_errors=True)
        told = process(checkout, [script, "--start", json.dumps(values), cache])
        row = json.loads(told.splitlines()[-1])
        return float(row["ready"]), float(row["cpu"])

    return arm


def predicted(pictures: Path) -> Arm:
    """Seconds of `tl predict` over a folder, as a whole process."""

    def arm(checkout: Path, folder: Path) -> float:
        run = folder / "run"
        if not run.is_dir():
            tl(checkout, "train", f"run_dir={run}", "epochs=1", "image_size=32",
               "data.images_per_class=8", f"cache_dir={folder / 'cache'}")  # fmt: skip
        wall, cpu = time.perf_counter(), children()
        tl(checkout, "predict", pictures, f"checkpoint={run}", "format=jsonl")
        return time.perf_counter() - wall, children() - cpu

    return arm


def first_epoch(photos: Path) -> Arm:
    """Seconds of a training of one epoch on streamed photos, as a whole process."""

    def arm(checkout: Path, folder: Path) -> tuple[float, float]:
        run = folder / "streamed"
        shutil.rmtree(run, ignore_errors=True)
        wall, cpu = time.perf_counter(), children()
        tl(checkout, "train", "data=folder", f"data.path={photos}", f"run_dir={run}", "epochs=1",
           "image_size=64", "finetune=linear_probe", "augmentation=light", "save_every=off",
           "calibrate=false", f"cache_dir={folder / 'cache'}")  # fmt: skip
        return time.perf_counter() - wall, children() - cpu

    return arm


def compared(name: str, arm: Arm, arms: dict[str, Path], folder: Path, rounds: int) -> str:
    """A row of the table."""
    found: dict[str, list[tuple[float, float]]] = {who: [] for who in arms}
    for number in range(rounds):
        for who in list(arms)[:: 1 if number % 2 == 0 else -1]:
            place = folder / who
            place.mkdir(exist_ok=True)
            found[who].append(arm(arms[who], place))
    (before, cpu_before), (now, cpu_now) = (
        [statistics.median(each) for each in zip(*found[who], strict=True)]
        for who in ("before", "now")
    )
    ratios = f"{now / before:.2f}x | {cpu_now / cpu_before:.2f}x"
    return f"| {name} | {before:.2f} s | {now:.2f} s | {ratios} |"


def main() -> None:
    """Make the data, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=20_000, help="files of the small starts")
    parser.add_argument("--photos", type=Path, help="class folders for the first epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["few", "shards", "predict", "epoch", "many"])
    given = parser.parse_args()
    arms = {"before": given.before.resolve(), "now": HERE}
    print("| what | before | now | wall | CPU |\n| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(prefix="bench_costs_") as name:
        folder = Path(name)

        def row(what: str, arm: Arm, rounds: int = given.rounds) -> None:
            print(compared(what, arm, arms, folder, rounds), flush=True)

        for group, count, make in (
            ("few", given.few, manifest.make_folder),
            ("shards", given.few, manifest.make_tfrecord),
            ("many", given.images, manifest.make_folder),
        ):
            if group in given.only:
                (folder / group).mkdir()
                values = make(folder / group / "images", count)
                time.sleep(2.5)  # The clock of a file system may tick every two seconds.
                kind = "shards" if group == "shards" else "files"
                once = 1 if group == "many" else given.rounds
                row(f"first start, {count:,} {kind}", started(values, True), once)
                row(f"second start, {count:,} {kind}", started(values, False))
        if "predict" in given.only:
            (folder / "predict").mkdir()
            manifest.make_folder(folder / "predict" / "images", 10_000)
            row("predict, 10,000 tiny pictures", predicted(folder / "predict" / "images"))
        if "epoch" in given.only and given.photos:
            row("training of one epoch, streamed photos", first_epoch(given.photos.resolve()))


if __name__ == "__main__":
    main()
