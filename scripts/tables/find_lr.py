"""How good the rate is that `tl find-lr` suggests, beside the best of a grid of rates.

    python scripts/tables/find_lr.py WORK --photos FOLDER --weights mobilenet_2_5_224_tf_no_top.h5

For each of several trainings (strategy, optimizer, data): the rates that the range test names, and
the test accuracy of the suggested one and of each rate of a grid. Runs are kept in WORK as those of
options.py are.
"""

import argparse
import contextlib
import io
import json
from pathlib import Path
from typing import Any

from options import FEW, SMALL, Entry, run_entry, split_words

CASES = {
    "photos full adamw": f"{SMALL} finetune=full optimizer=adamw",
    "photos full sgd": f"{SMALL} finetune=full optimizer=sgd",
    "photos probe adamw": f"{SMALL} finetune=linear_probe optimizer=adamw",
    "photos probe sgd": f"{SMALL} finetune=linear_probe optimizer=sgd",
    "photos full lion": f"{SMALL} finetune=full optimizer=lion",
    "digits full adamw": f"{FEW} finetune=full optimizer=adamw",
    "digits full sgd": f"{FEW} finetune=full optimizer=sgd",
    "digits probe adamw": f"{FEW} finetune=linear_probe optimizer=adamw",
}
GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


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
    words = split_words(CASES[name], given)
    found = curve(given.work, name, words, given.words)["suggestion"]
    rates = [*GRID, *([found["learning_rate"]] if found else [])]
    figures = {rate: accuracy(given, name, rate) for rate in rates}
    best = max(GRID, key=lambda rate: figures[rate])
    if found is None:
        return f"| {name} | nothing | - | {best:g} | {figures[best]:.3f} | - |"
    rate = found["learning_rate"]
    lost = figures[rate] - figures[best]
    return (f"| {name} | {rate:.2g} | {figures[rate]:.3f} | {best:g} | {figures[best]:.3f} | "
            f"{lost:+.3f} |")  # fmt: skip


def accuracy(given: argparse.Namespace, name: str, rate: float) -> float:
    """Test accuracy at a rate; 0 where the loss does not stay finite."""
    words = split_words(f"{CASES[name]} optimizer.learning_rate={rate:.2g}", given)
    made = Entry(name, "find-lr", f"{rate:.2g}", tuple(words), entry_key(words))
    return float(run_entry(given.work, made).get("accuracy", 0.0))


def entry_key(words: list[str]) -> str:
    """A name for the words alone."""
    import hashlib

    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the runs and their figures")
    parser.add_argument("--photos", help="folder of photos, one folder a class")
    parser.add_argument("--weights", default="imagenet", help="weights of MobileNet 0.25")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("words", nargs="*", help="further words of tl find-lr, as steps=200")
    given = parser.parse_args()
    given.teacher_weights, given.work = None, given.work.absolute()
    cases = [name for name in given.cases if given.photos or not name.startswith("photos")]
    print("| training | suggested | accuracy | best of grid | accuracy | difference |")
    print("| --- " * 6 + "|")
    for name in cases:
        print(row(given, name), flush=True)


if __name__ == "__main__":
    main()
