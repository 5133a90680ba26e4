"""Start trainings at the same moment again and again: each must end as a whole run of its own.

    python scripts/make/claims.py --rounds 10 --starts 4

All trainings of a round are given the same words but for the seed, and no run_dir, so that they
choose their folders within one second. Ends with 1 where a run is missing, damaged or mixed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tlcli.errors import TlError
from tlcli.runs import checkpoint

WORDS = (
    "data=digits", "data.images_per_class=4", "finetune=linear_probe", "epochs=1",
    "batch_size=10", "calibrate=false", "save_every=1steps",
)  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Start, look, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where to train; a temporary one otherwise")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="claims_") as name:
        folder = given.folder or Path(name)
        problems = []
        for number in range(given.rounds):
            seeds = range(number * given.starts, (number + 1) * given.starts)
            problems += started(folder, seeds)
        found = sorted((folder / "runs" / "train").iterdir())
        problems += looked_at(found, given.rounds * given.starts)
    for problem in problems:
        print(problem)
    print(f"{len(found)} folders of {given.rounds} x {given.starts} starts, "
          f"{len(problems)} problems")  # fmt: skip
    return 1 if problems else 0


def started(folder: Path, seeds: Sequence[int]) -> list[str]:
    """Train with each seed at once; gives what went wrong."""
    begun = [
        subprocess.Popen(
            [sys.executable, "-m", "tlcli.cli", "train", *WORDS, f"seed={seed}"],
            cwd=folder, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for seed in seeds
    ]  # fmt: skip
    told = [one.communicate()[1] for one in begun]
    return [
        f"seed {seed} ended with {one.returncode}: {text[-500:]}"
        for seed, one, text in zip(seeds, begun, told, strict=True)
        if one.returncode
    ]


def looked_at(runs: Sequence[Path], count: int) -> list[str]:
    """What is wrong with the folders that trainings left."""
    problems, seeds = [], []
    for run in runs:
        try:
            config, facts = checkpoint.read_facts(run)
        except TlError as error:
            problems.append(str(error))
            continue
        seeds.append(facts.seed)
        if config["seed"] != facts.seed:
            problems.append(f"{run}: config.json is of seed {config['seed']}, not {facts.seed}")
        if json.loads((run / "metrics.json").read_text(encoding="utf-8")) != facts.metrics:
            problems.append(f"{run}: metrics.json is of another run")
    if sorted(map(str, seeds)) != sorted(map(str, range(count))):
        problems.append(f"the seeds of the runs are {seeds}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
