"""How long a command takes with one, two and three workers of this machine.

    KERAS_HOME=… python scripts/bench/workers.py PICTURES --copies 3

PICTURES has class folders below train and test. A MobileNet of width 0.25 learns their classes for
an epoch at 128 pixels; then each command runs with each number of workers, in turn, ROUNDS times.
Each figure is the median: wall seconds, and seconds of processors of all processes together. With
one worker it is the command itself, without `tl launch`.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETWORK = ("backbone=mobilenet", "backbone.alpha=0.25", "image_size=128")
SHORT = ("epochs=1", "report=false", "calibrate=false", "strangers=null", "augmentation=none")


def words_of(command: str, folder: Path, out: Path) -> list[str]:
    """Words of a command that writes into a new folder."""
    data, run = folder / "data", folder / "run"
    return {
        "eval": ["eval", f"data.path={data}", "data=folder", f"checkpoint={run}", "split=all",
                 f"output={out}/figures.json"],
        "predict": ["predict", f"{data}", f"checkpoint={run}", f"output={out}/rows.jsonl"],
        "prepare": ["prepare", f"data.path={data}", f"output={out}/shards", "shard_size=1"],
        "audit": ["audit", f"data.path={data}", f"output={out}/audit", *NETWORK],
        "teacher": ["train", "data=folder", f"data.path={data}", f"run_dir={out}/run",
                    f"cache_dir={out}/cache", "distillation=kd", "teacher=run",
                    f"teacher.path={run}", "backbone=tiny", "image_size=32",
                    *SHORT],
    }[command]  # fmt: skip


COMMANDS = ("eval", "predict", "prepare", "audit", "teacher")


def taken(words: list[str], out: Path) -> tuple[float, float]:
    """Wall seconds and seconds of processors of `tl`."""
    out.mkdir()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    line = [sys.executable, "-m", "tlcli.cli", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"tl {' '.join(words)}\n{done.stderr}")
    shutil.rmtree(out)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def copied(source: Path, folder: Path, copies: int) -> None:
    """The pictures of a folder several times over, each under a name of its own."""
    for path in sorted(one for one in source.rglob("*") if one.is_file()):
        inner = path.relative_to(source)
        for number in range(copies):
            place = folder / inner.with_name(f"{number}-{inner.name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def main() -> None:
    """Make a run, measure each command, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=COMMANDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        copied(given.pictures, folder / "data", given.copies)
        train = ["train", "data=folder", f"data.path={given.pictures}", f"run_dir={name}/run"]
        taken([*train, "finetune=linear_probe", *NETWORK, *SHORT], folder / "out")
        print(f"{'command':<10}" + "".join(f"{f'{n}: wall, cpu s':>18}" for n in given.workers))
        for command in given.commands:
            found: dict[int, list[tuple[float, float]]] = {n: [] for n in given.workers}
            for _ in range(given.rounds):
                for count in given.workers:
                    words = words_of(command, folder, folder / "out")
                    launched = ["launch", str(count), "--", *words] if count > 1 else words
                    found[count].append(taken(launched, folder / "out"))
            told = (tuple(statistics.median(column) for column in zip(*one, strict=True))
                    for one in found.values())  # fmt: skip
            print(f"{command:<10}" + "".join(f"{f'{w:.1f}, {c:.1f}':>18}" for w, c in told))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
