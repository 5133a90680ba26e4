"""Of students in a row, the one that is right most often on validation becomes the run.

A generation does not always improve on the one before (Furlanello et al. 2018, arXiv:1805.04770,
report the best and the ensemble of all). Each is a finished run in its own folder; what the best
one holds is copied into the run's.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.evaluation.monitor import better
from tlcli.runs import checkpoint, predictions, sealed, strangers
from tlcli.system import console, files

TABLES = ("split.csv", "metrics.csv")


def ship(run_dir: Path, folders: Sequence[Path], monitor: str) -> dict[str, Any]:
    """Copy the best of finished runs into the run's folder, the weights last.

    Args:
        run_dir: The run, with its config.json.
        folders: The generations in their order.
        monitor: Validation figure that decides, or "auto".

    Returns:
        metrics.json of the best. The last is taken where there is no validation image, and of
        equal ones the latest.
    """
    figures = [figure_of(folder, monitor) for folder in folders]
    place = best_place(monitor, figures)
    best, metric = folders[place], named(monitor, folders[place])
    facts = checkpoint.facts_of(best)
    found = dict(zip((folder.name for folder in folders), figures, strict=True))
    generations = {"figure": f"validation {metric}", **files.finite(found), "shipped": best.name}
    metrics = checkpoint.read_metrics(best)
    for name in TABLES:
        files.write_text(run_dir / name, (best / name).read_text(encoding="utf-8"))
    files.write_json(run_dir / "metrics.json", metrics)
    for name in (predictions.FILE, strangers.FILE):
        if (best / name).is_file():
            copied(best / name, run_dir / name)
    hashes = sealed.hashes(run_dir, best / checkpoint.WEIGHTS)
    facts = replace(facts, generations=generations, sha256=hashes)
    files.write_json(run_dir / "metadata.json", facts.as_json())
    sealed.seal(run_dir, hashes)
    copied(best / checkpoint.WEIGHTS, run_dir / checkpoint.WEIGHTS)
    console.say(f"chain      {told(metric, found, best.name)}")
    return metrics


def figure_of(folder: Path, monitor: str) -> float | None:
    """The deciding validation figure of a finished run; None without validation images."""
    found = checkpoint.read_metrics(folder).get("validation")
    return None if found is None else float(found[named(monitor, folder)])


def named(monitor: str, folder: Path) -> str:
    """The figure's name, "auto" resolved by the run's kind of labels."""
    if monitor != "auto":
        return monitor
    several = checkpoint.facts_of(folder).multi_label
    return "mean_average_precision" if several else "accuracy"


def best_place(monitor: str, figures: Sequence[float | None]) -> int:
    """Index of the best figure, the latest of equal ones; the last where there are none."""
    place = len(figures) - 1
    for index in reversed(range(len(figures))):
        ours, theirs = figures[index], figures[place]
        sound = theirs is not None and math.isfinite(theirs)
        if ours is not None and better(monitor, ours, theirs if sound else None):
            place = index
    return place


def copied(source: Path, target: Path) -> None:
    """Copy a file so that it is whole or not there.

    Raises:
        WriteError: It cannot be written.
    """
    temporary = target.with_name(f".new.{target.name}")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        raise files.write_error(target, error, source.stat().st_size) from error
    files.sync_folder(target.parent)


def told(metric: str, figures: Mapping[str, float | None], best: str) -> str:
    """Which one it is, and why, in a line."""
    if all(value is None for value in figures.values()):
        return f"the run is {best}, the last, for there is no validation image"
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
    return f"the run is {best}, by validation {metric.replace('_', ' ')}: {shown}"
