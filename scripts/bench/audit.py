"""What `tl audit` finds of faults that are planted by a seed, and what leaving them out brings.

    python scripts/bench/audit.py --data cifar10_mini --seed 0 --trainings 3 \
        -- backbone=mobilenet backbone.alpha=0.25 image_size=96 finetune=linear_probe epochs=20

The data, class folders in train and test, is copied. Of the training pictures 5 % get another
label; 30 copies (encoded again, cropped by 5 %, mirrored) are added to them; the pictures of one
class become PNG files. Words after `--` go to every `tl train`.
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FLIPPED, COPIES, CROP = 0.05, 30, 0.05


@dataclass(frozen=True)
class Planted:
    """What was planted.

    Attributes:
        flipped: Ids of pictures with another label.
        copies: Ids of copies and of what they are copies of.
        cue: Class of which all files are of another type.
    """

    flipped: frozenset[str]
    copies: tuple[tuple[str, str], ...]
    cue: str


def plant(source: Path, folder: Path, seed: int) -> Planted:
    """Copy the data with faults in it."""
    random = np.random.default_rng(seed)
    shutil.copytree(source, folder)
    classes = sorted(one.name for one in (folder / "train").iterdir())
    cue = classes[int(random.integers(len(classes)))]
    for path in sorted(folder.glob(f"*/{cue}/*")):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".png"))
        path.unlink()
    sources = sorted(folder.rglob("*.jpg"))
    chosen = random.choice(len(sources), COPIES, replace=False)
    copies = tuple(copied(folder, sources[i], number, random) for number, i in enumerate(chosen))
    names = {name for pair in copies for name in pair}
    train = [path for path in sorted((folder / "train").rglob("*.jpg"))
             if str(path.relative_to(folder)) not in names]  # fmt: skip
    flipped = set()
    for i in random.choice(len(train), round(FLIPPED * len(train)), replace=False):
        others = [name for name in classes if name not in (train[i].parent.name, cue)]
        label = others[int(random.integers(len(others)))]
        place = folder / "train" / label / f"{train[i].parent.name}-{train[i].name}"
        train[i].rename(place)
        flipped.add(str(place.relative_to(folder)))
    return Planted(frozenset(flipped), copies, cue)


def copied(
    folder: Path, path: Path, number: int, random: np.random.Generator
) -> tuple[str, str]:  # fmt: skip
    """Add a copy of a picture to train; gives both ids."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    width, height = picture.size
    if number % 3 == 1:
        left, top = random.uniform(0, CROP, 2) * picture.size
        right, bottom = left + (1 - CROP) * width, top + (1 - CROP) * height
        picture = picture.resize(
            picture.size, Image.Resampling.BILINEAR, (left, top, right, bottom)
        )
    elif number % 3 == 2:
        picture = ImageOps.mirror(picture)
    place = folder / "train" / path.parent.name / f"copy{number}.jpg"
    picture.save(place, quality=60 if number % 3 == 0 else 90)
    return str(place.relative_to(folder)), str(path.relative_to(folder))


def tl(*words: object) -> str:
    """What `tl` prints for some words."""
    command = [sys.executable, "-m", "tlcli.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def area(scores: Sequence[float], marked: Sequence[bool]) -> float:
    """Area under the ROC curve; ties count half."""
    values, where = np.asarray(scores), np.asarray(marked)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = where.sum()
    return float((ranks[where].sum() - positive * (positive + 1) / 2)
                 / (positive * (~where).sum()))  # fmt: skip


def found(folder: Path, planted: Planted) -> None:
    """Print what an audit found of what was planted."""
    scores = [row for row in table(folder / "scores.csv") if row["id"].startswith("train/")]
    flags = [row["id"] in planted.flipped for row in scores]
    value = area([float(row["label_error"]) for row in scores], flags)
    print(f"label errors: AUROC {value:.3f} of {sum(flags)} flips among {len(flags)}")
    rows = table(folder / "audit.csv")
    errors = [row for row in rows if row["kind"] == "label_error"]
    right = sum(row["id"] in planted.flipped for row in errors)
    print(f"label errors: {len(errors)} found, {right} of them flips")
    near = {row["id"] for row in rows if row["kind"] == "near_duplicate"}
    both = {name for pair in planted.copies for name in pair}
    hits = sum(copy in near and source in near for copy, source in planted.copies)
    print(f"near duplicates: recall {hits / len(planted.copies):.3f}, precision "
          f"{len(near & both) / max(1, len(near)):.3f} of {len(near)} pictures")  # fmt: skip
    cues = [f"{row['class']}: {row['detail']}" for row in rows if row["kind"] == "spurious_cue"]
    print(f"cues, planted in {planted.cue}: {cues}", flush=True)


def accuracies(data: Path, folder: Path, words: Sequence[str]) -> tuple[float, float]:
    """Accuracy on all test pictures without and with the findings left out."""
    figures = []
    for name, more in (("all", []), ("left", [f"data.exclude={folder / 'audit.csv'}"])):
        run = folder / name
        shutil.rmtree(run, ignore_errors=True)
        tl("train", f"data={data}", f"run_dir={run}", *words, *more)
        told = tl("eval", f"checkpoint={run}", "split=test", "format=json", "data.exclude=null")
        figures.append(float(json.loads(told)["accuracy"]))
    return figures[0], figures[1]


def main() -> None:
    """Plant, audit, train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trainings", type=int, default=3)
    own, _, shared = "\0".join(sys.argv[1:]).partition("\0--\0")
    given = parser.parse_args(own.split("\0"))
    with tempfile.TemporaryDirectory() as place:
        data, folder = Path(place) / "data", Path(place) / "audit"
        planted = plant(given.data, data, given.seed)
        tl("audit", f"data={data}", f"output={folder}")
        found(folder, planted)
        pairs = [accuracies(data, folder, [*filter(None, shared.split("\0")), f"seed={seed}"])
                 for seed in range(given.trainings)]  # fmt: skip
    for before, after in pairs:
        print(f"test accuracy {before:.4f}, without what was found {after:.4f}")
    if len(pairs) > 1:
        gains = [after - before for before, after in pairs]
        print(f"gain {statistics.mean(gains):+.4f} ± {statistics.stdev(gains):.4f}")


if __name__ == "__main__":
    main()
