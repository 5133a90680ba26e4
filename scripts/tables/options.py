"""Test accuracy of every option of seven groups, each with its defaults, on a few jobs.

    python scripts/tables/options.py WORK --photos FOLDER --weights mobilenet_2_5_224_tf_no_top.h5 \
        --teacher-weights mobilenet_1_0_224_tf_to_conv_pw_12.h5

Without `--photos` only the jobs on embedded digits run. Every run is a line in WORK/runs.jsonl and
is not made again unless a word or a value of its option changed; an option that is refused is a
line as well. `--try "optimizer=sgd optimizer.learning_rate=0.02"` runs those words instead of the
options, to choose a default. All runs share one process; `--minutes` stops it between two runs, to
go on later.
"""

import argparse
import contextlib
import gc
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PHOTOS = "data=folder data.path='{photos}' backbone=mobilenet image_size=64 save_every=off"
SMALL = f"{PHOTOS} backbone.alpha=0.25 backbone.weights='{{weights}}' epochs=6"
DIGITS = "data=digits backbone=tiny save_every=off validate_every=2"
FEW = f"{DIGITS} data.images_per_class=20 epochs=30 batch_size=16"
# Words of each job, and those of the teacher that its distillation methods learn from.
JOBS = {
    "photos_full": (f"{SMALL} finetune=full", f"{PHOTOS} backbone.weights='{{teacher_weights}}' "
                    "backbone.output_layer=conv_pw_12_relu finetune=full epochs=4"),
    "photos_probe": (f"{SMALL} finetune=linear_probe", None),
    "digits_full": (f"{FEW} finetune=full", f"{DIGITS} finetune=lp_ft epochs=20"),
}  # fmt: skip
GROUPS = ("optimizer", "schedule", "finetune", "head", "loss", "augmentation", "distillation")
# What each group is compared with.
CONTROLS = {
    "optimizer": "adamw", "schedule": "cosine", "finetune": None, "head": "linear",
    "loss": "cross_entropy", "augmentation": "none", "distillation": "none",
}  # fmt: skip
# The strategy is what this job is about.
FIXED = {"finetune": ("photos_probe",)}
OWN_TARGETS = ("none", "tf_kd", "mutual", "mean_teacher")


@dataclass(frozen=True)
class Entry:
    """One training.

    Attributes:
        job: Its name.
        group: Of the option.
        option: Its name, or the words that were tried.
        words: All words of `tl train`.
        key: Hash of the words and of the option's values.
    """

    job: str
    group: str
    option: str
    words: tuple[str, ...]
    key: str


def entries(given: argparse.Namespace, teachers: dict[str, Path]) -> Iterator[Entry]:
    """Every training of the chosen groups and jobs."""
    from tlcli.config import registry

    for group in given.groups:
        options = [name for name in registry.names(group) if not given.only or name in given.only]
        for option in options:
            for job in (job for job in given.jobs if job not in FIXED.get(group, ())):
                learns = group == "distillation" and option not in OWN_TARGETS
                if learns and job not in teachers:
                    continue
                taught = f"teacher=run teacher.path='{teachers[job]}'" if learns else ""
                values = registry.defaults(group, option)
                yield entry(given, job, f"{group}={option} {taught}", values)


def entry(given: argparse.Namespace, job: str, own: str, values: Any) -> Entry:
    """One training; `own` are the words that set it apart."""
    group, _, option = own.split()[0].partition("=")
    seeds = [f"seed={given.seed}"] if given.seed else []
    words = (*split_words(JOBS[job][0], given), *split_words(own, given), *seeds)
    text = json.dumps([[Path(w).name for w in words], values], sort_keys=True)
    return Entry(job, group, option, words, hashlib.sha256(text.encode()).hexdigest()[:16])


def split_words(text: str, given: argparse.Namespace) -> list[str]:
    """Words of a command line with the paths in their places."""
    import shlex

    paths = {"photos": given.photos, "weights": given.weights,
             "teacher_weights": given.teacher_weights}  # fmt: skip
    return [word.format(**{k: v for k, v in paths.items() if v}) for word in shlex.split(text)]


def train(words: tuple[str, ...], run_dir: Path) -> dict[str, Any]:
    """One training as `tl train` does it; its figures, or why there are none."""
    import keras

    from tlcli.commands.train import run
    from tlcli.config import compose
    from tlcli.config.checking import check_request
    from tlcli.errors import TlError
    from tlcli.training.stopping import Stopped

    started = time.monotonic()
    log = run_dir.with_suffix(".txt")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("w") as file, contextlib.redirect_stderr(file):
            run(check_request(compose.read("train", [*words, f"run_dir={run_dir}"])))
    except Stopped:
        raise SystemExit(3) from None
    except TlError as error:
        return {"refused": str(error)}
    finally:
        keras.utils.clear_session()
        gc.collect()
    metrics = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    return {"accuracy": metrics["test"]["accuracy"], "seconds": time.monotonic() - started,
            "warned": warned(log)}  # fmt: skip


def warned(log: Path) -> bool:
    """Whether the plan said that a term is far from the labels."""
    # Lines are wrapped at the terminal's width.
    text = " ".join(log.read_text(encoding="utf-8").split())
    return "drowns the labels" in text or "hardly counts" in text


def recorded(work: Path) -> dict[str, dict[str, Any]]:
    """What was run before, by key."""
    path = work / "runs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {row["key"]: row for row in map(json.loads, lines)}


def run_entry(work: Path, given: Entry, keep: bool = False) -> dict[str, Any]:
    """Train unless it was done before; gives the line of runs.jsonl."""
    found = recorded(work).get(given.key)
    run_dir = work / "runs" / given.key
    if found is not None and (not keep or run_dir.is_dir()):
        return found
    shutil.rmtree(run_dir, ignore_errors=True)
    row = {"key": given.key, "job": given.job, "group": given.group, "option": given.option,
           "words": list(given.words), **train(given.words, run_dir)}  # fmt: skip
    with (work / "runs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    if not keep:
        shutil.rmtree(run_dir, ignore_errors=True)
    shown = row.get("accuracy", row.get("refused"))
    print(f"{given.job} {given.group}={given.option}: {shown} ({row.get('seconds', 0):.0f} s)",
          flush=True)  # fmt: skip
    return row


def teachers_of(given: argparse.Namespace) -> dict[str, Path]:
    """Run folder of each job's teacher, trained where it is missing."""
    found: dict[str, Path] = {}
    for job in given.jobs:
        words = JOBS[job][1]
        if words is None or "distillation" not in given.groups:
            continue
        if "{teacher_weights}" in words and given.teacher_weights is None:
            continue
        text = tuple(split_words(words, given))
        key = f"teacher_{job}"
        run_entry(given.work, Entry(job, "teacher", "teacher", text, key), keep=True)
        found[job] = given.work / "runs" / key
    return found


def table(rows: list[dict[str, Any]], jobs: list[str]) -> list[str]:
    """Markdown: an option a line, accuracy and difference to the group's control a job."""
    head = "| group | option | " + " | ".join(f"{job} | Δ" for job in jobs) + " | seconds | note |"
    lines = [head, "| --- " * (2 * len(jobs) + 4) + "|"]
    for group in GROUPS:
        found = {(row["job"], row["option"]): row for row in rows if row["group"] == group}
        for option in dict.fromkeys(option for _, option in found):
            cells, seconds, notes = [], [], []
            for job in jobs:
                row = found.get((job, option), {})
                cells.append(cell(row, reference(found, group, job)))
                seconds.append(f"{row['seconds']:.0f}" if "seconds" in row else "-")
                notes += [f"{job}: {row['refused']}"] if "refused" in row else []
                notes += [f"{job}: warned"] if row.get("warned") else []
            text = "; ".join(notes).replace("|", "/")
            lines.append(
                f"| {group} | {option} | {' | '.join(cells)} | {', '.join(seconds)} | {text} |"
            )
    return lines


def reference(found: dict[tuple[str, str], dict[str, Any]], group: str, job: str) -> float:
    """Accuracy of the group's control on a job, or of its best where it has none."""
    control = found.get((job, str(CONTROLS[group])), {}).get("accuracy")
    every = [row.get("accuracy", 0.0) for (name, _), row in found.items() if name == job]
    return float(max(every, default=0.0) if control is None else control)


def cell(row: dict[str, Any], control: float) -> str:
    """Accuracy and its difference, two cells."""
    if "accuracy" not in row:
        return "- | -"
    return f"{row['accuracy']:.3f} | {row['accuracy'] - control:+.3f}"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the runs and their figures")
    parser.add_argument("--photos", help="folder of photos, one folder a class")
    parser.add_argument("--weights", default="imagenet", help="weights of MobileNet 0.25")
    parser.add_argument("--teacher-weights", help="weights of MobileNet 1.0 up to conv_pw_12_relu")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--only", nargs="+", help="options to run; all by default")
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--try", nargs="+", dest="tried", help="words to run instead of options")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop between two runs after")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    given.jobs = [job for job in given.jobs if given.photos or not job.startswith("photos")]
    if given.tried:
        chosen = [entry(given, job, own, None) for own in given.tried for job in given.jobs]
    else:
        chosen = list(entries(given, teachers_of(given)))
    end = time.monotonic() + 60 * given.minutes
    rows: list[dict[str, Any]] = []
    for one in chosen:
        if time.monotonic() > end and one.key not in recorded(given.work):
            raise SystemExit(3)
        rows.append(run_entry(given.work, one))
    if given.tried:
        names = [own for own in given.tried for _ in given.jobs]
        rows = [{**row, "option": own} for row, own in zip(rows, names, strict=True)]
    print("\n".join(table(rows, given.jobs)))


if __name__ == "__main__":
    main()
