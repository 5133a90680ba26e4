"""How good the rate is that `tl find-lr` suggests, beside the best of a grid of rates.

    python scripts/tables/find_lr.py WORK --photos FOLDER --weights mobilenet_2_5_224_tf_no_top.h5

For each of several trainings (strategy, optimizer, data): the rates that the range test names, and
the test accuracy of the suggested one and of the rates of a grid, two a decade. The grid is
followed from the suggestion to both sides until the accuracy lies well below the best. What is
compared are means over seeds. Runs are kept in WORK as those of options.py are.
"""

import argparse
import contextlib
import hashlib
import io
import json
import math
import time
from pathlib import Path
from typing import Any

from options import FEW, SMALL, Entry, run_entry, split_words

CASES = {
    "photos full adamw": f"{SMALL} finetune=full optimizer=adamw",
    "photos full sgd": f"{SMALL} finetune=full optimizer=sgd",
    "photos full muon": f"{SMALL} finetune=full optimizer=muon",
    "photos full lamb": f"{SMALL} finetune=full optimizer=lamb",
    "photos full lion": f"{SMALL} finetune=full optimizer=lion",
    "photos probe adamw": f"{SMALL} finetune=linear_probe optimizer=adamw",
    "photos probe sgd": f"{SMALL} finetune=linear_probe optimizer=sgd",
    "photos lp_ft adamw": f"{SMALL} finetune=lp_ft optimizer=adamw",
    "digits full adamw": f"{FEW} finetune=full optimizer=adamw",
    "digits full sgd": f"{FEW} finetune=full optimizer=sgd",
    "digits probe adamw": f"{FEW} finetune=linear_probe optimizer=adamw",
}
GRID = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
FAR = 0.02


def curve(work: Path, name: str, words: list[str], extra: list[str]) -> dict[str, Any]:
    """What `tl find-lr` writes about a training."""
    import keras

    from tlcli.commands.find_lr import run
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    path = work / "curves" / f"{'_'.join([*name.split(), *extra])}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        quiet = io.StringIO()
        with contextlib.redirect_stderr(quiet), contextlib.redirect_stdout(quiet):
            run(check_request(compose.read("find-lr", [*words, *extra, f"output={path}"])))
        keras.utils.clear_session()
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def row(given: argparse.Namespace, name: str) -> str:
    """A line of the table."""
    first, *others = given.seeds
    start = suggested(given, name, first)
    if start is None:
        return f"| {name} | nothing | - | - | - | - |"
    grid = along(given, name, first, start)
    best = {rate: over(given, name, dict.fromkeys(given.seeds, rate))
            for rate in sorted(grid, key=lambda rate: -grid[rate])[: given.again]}  # fmt: skip
    rate = max(best, key=lambda rate: best[rate])
    advice = {seed: suggested(given, name, seed) or start for seed in others} | {first: start}
    followed = over(given, name, advice)
    shown = " ".join(f"{advice[seed]:.2g}" for seed in given.seeds)
    return (f"| {name} | {shown} | {followed:.3f} | {rate:g} | {best[rate]:.3f} | "
            f"{followed - best[rate]:+.3f} |")  # fmt: skip


def over(given: argparse.Namespace, name: str, rates: dict[int, float]) -> float:
    """Mean accuracy over seeds, each with its rate."""
    found = [accuracy(given, name, rate, seed) for seed, rate in rates.items()]
    return sum(found) / len(found)


def suggested(given: argparse.Namespace, name: str, seed: int) -> float | None:
    """The rate that the range test names, or None."""
    words = split_words(CASES[name], given)
    found = curve(given.work, name, words, [*given.words, f"seed={seed}"])["suggestion"]
    return None if found is None else float(found["learning_rate"])


def along(given: argparse.Namespace, name: str, seed: int, start: float) -> dict[float, float]:
    """Accuracy at the rates of the grid that may hold the best."""
    first = min(range(len(GRID)), key=lambda i: abs(math.log(GRID[i] / start)))
    found: dict[float, float] = {}
    for places in (range(first, len(GRID)), range(first - 1, -1, -1)):
        low = 0
        for place in places:
            rate = GRID[place]
            found[rate] = accuracy(given, name, rate, seed)
            below = max(found.values()) - found[rate]
            low = low + 1 if below > FAR else 0
            if low == 2 or below > 2 * FAR:
                break
    return found


def accuracy(given: argparse.Namespace, name: str, rate: float, seed: int) -> float:
    """Test accuracy at a rate; 0 where the loss does not stay finite."""
    words = split_words(f"{CASES[name]} optimizer.learning_rate={rate:.2g} seed={seed}", given)
    key = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]
    if time.monotonic() > given.end:
        raise SystemExit(3)
    made = Entry(name, "find-lr", f"{rate:.2g} seed {seed}", tuple(words), key)
    return float(run_entry(given.work, made).get("accuracy", 0.0))


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the runs and their figures")
    parser.add_argument("--photos", help="folder of photos, one folder a class")
    parser.add_argument("--weights", default="imagenet", help="weights of MobileNet 0.25")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="the grid's first")
    parser.add_argument(
        "--again", type=int, default=2, help="best of the grid tried with all seeds"
    )
    parser.add_argument("--minutes", type=float, default=1e9, help="stop between two runs after")
    parser.add_argument("words", nargs="*", help="further words of tl find-lr, as steps=200")
    given = parser.parse_args()
    given.teacher_weights, given.work = None, given.work.absolute()
    given.end = time.monotonic() + 60 * given.minutes
    cases = [name for name in given.cases if given.photos or not name.startswith("photos")]
    print("| training | suggested | accuracy | best of grid | accuracy | difference |")
    print("| --- " * 6 + "|")
    for name in cases:
        print(row(given, name), flush=True)


if __name__ == "__main__":
    main()
