"""`tl eval`: measure a checkpoint on its own test images, or on other data by class name."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tlcli.commands import export_namer, ood
from tlcli.commands.sharing import crew_of, identity
from tlcli.config import bundled, registry
from tlcli.config.checking import Checked
from tlcli.config.places import placed
from tlcli.config.settings import Eval, cache_folder
from tlcli.contracts.data import TRAIN, Manifest
from tlcli.data.choosing import CHOICES
from tlcli.data.damage import FaultyPictures, persistent
from tlcli.data.views import Views, worker_count
from tlcli.errors import DataError
from tlcli.evaluation.answered import Answered
from tlcli.evaluation.classifier import by_name, rows_of, watcher
from tlcli.evaluation.shares import Sharing, shared_answers
from tlcli.evaluation.strangers import Strangers
from tlcli.export import manifest as manifests
from tlcli.lazy import np
from tlcli.runs import checkpoint, latest, output, predictions, strangers
from tlcli.runs.checkpoint import Checkpoint
from tlcli.runs.seen import UNSEEN, earlier_run, seen_by, unseen
from tlcli.system import console, files
from tlcli.system.figures import figures_line, intervals_line, worst_classes
from tlcli.system.shown import json_line, shown


def run(checked: Checked[Eval, None]) -> int:
    """Measure as configured and print the figures; returns the exit code."""
    return persistent(lambda: measure(checked), lambda line: sys.stderr.write(f"{line}\n"))


def measure(checked: Checked[Eval, None]) -> int:
    """Measure once; pictures that turn out to be faulty stop it."""
    console.start_log(None)
    settings = checked.settings
    crew = crew_of(checked)
    place, kept = (
        output.place(wanted, settings.overwrite, key, crew.is_chief) if wanted else None
        for key, wanted in (("output", settings.output), ("predictions", settings.predictions))
    )
    found, known, call = read(settings)
    manifest, trained = told_apart(found, data_of(found, checked.config.get("data")))
    rows = rows_of(manifest, settings.split)
    sharing = Sharing(crew, "evaluating", f"{identity(found.path)} {settings.tta}")
    views = Views(manifest, found.resize, None, 0, worker_count(settings.workers))
    said = shared_answers(sharing, call, views, rows, settings.batch_size)
    counted = Answered(manifest, rows, found.scaling, found.thresholds, found.facts.conformal)
    strange = counted_all(counted, said, settings.batch_size)
    if not crew.is_chief:
        return 0
    figures = counted.figures()
    if known is not None:
        figures |= ood.figures_of(settings, known, found, call, strange)
    figures |= marked(int(trained[rows].sum()), len(rows))
    classes = counted.classes(found.class_names)
    told = figures | ({"classes": classes} if classes else {})
    content = json_line(files.as_json(files.finite(told)))
    if place is not None:
        output.write(place, content.encode())
    if kept is not None:
        keep(kept, found, manifest, counted)
    if settings.format == "json":
        sys.stdout.write(content)
        return 0
    about = table(settings.split, manifest, len(rows), figures, counted.scores)
    sys.stdout.write(about + sets_lines(found, classes) + ood.lines(figures))
    return 0


def read(settings: Eval) -> tuple[Checkpoint, Strangers | None, Any]:
    """The run or export, what tells pictures that it does not know, and how it answers.

    The last is a function from uint8 images to logits, and how strange each image is or None.

    Raises:
        ConfigError: There is no run, or strangers are asked for and it knows none.
    """
    given = latest.chosen(settings.checkpoint, settings.runs, "Train one, or give checkpoint=RUN.")
    folder = bundled.located(given, "checkpoint")
    if manifests.is_export(folder):
        about, known, look = export_namer.opened(folder, settings.tta)
        found = Checkpoint(folder, checkpoint.read_config(folder), about.facts, None)
        ood.require_known(settings.ood, known, found)
        return found, known, look
    with console.Stage("reading the checkpoint"):
        found = checkpoint.read_run(folder)
        known = strangers.read(found.path)
    ood.require_known(settings.ood, known, found)
    return found, known, watcher(found.model, known, settings.tta)


def keep(place: Path, found: Checkpoint, manifest: Manifest, counted: Answered) -> None:
    """Write predictions, and say so where they are not those of all images."""
    predicted = predictions.made(
        manifest, counted.kept_rows, counted.logits, found.probabilities, found.thresholds
    )
    output.write_by(place, lambda file: predictions.save(file, predicted))
    for line in counted.lines():
        console.say(line)


def counted_all(counted: Answered, said: Iterable[Any], batch: int) -> Any:
    """Count logits as they come; gives how strange each image is, as far as anything tells.

    Several workers give many batches at once: cut again, they are counted as one would.
    """
    strange = []
    for logits, *more in said:
        for start in range(0, len(logits), batch):
            counted.add(logits[start : start + batch])
        strange += more
    return np.concatenate(strange) if strange and strange[0] is not None else None


def table(
    split: str, manifest: Manifest, count: int, figures: Mapping[str, Any], scores: Any
) -> str:
    """The figures for a person."""
    images, names = f"{count} images of {shown(manifest.root)}", manifest.class_names
    lines = {
        split: images, "figures": figures_line(figures, len(names)),
        "95 %": intervals_line(figures, len(names)),
        "worst": worst_classes(scores.per_class(), names),
    }  # fmt: skip
    return "".join(f"{name:<10} {text}\n" for name, text in lines.items())


def sets_lines(found: Checkpoint, classes: Mapping[str, Mapping[str, float]]) -> str:
    """Classes whose label is least often in the set, for a person; nothing without sets."""
    if found.facts.conformal is None:
        return ""
    least = sorted(classes.items(), key=lambda one: one[1]["coverage"])[:3]
    told = ", ".join(
        f"{shown(name)} {one['coverage']:.2f} of size {one['set_size']:.1f}" for name, one in least
    )
    return f"{'sets':<10} {found.facts.conformal.coverage:g} asked; least covered: {told}\n"


def told_apart(found: Any, manifest: Manifest) -> tuple[Manifest, Any]:
    """Data with the pictures that the run has seen in the splits that it had them in.

    Args:
        found: The run.
        manifest: Its own data, or other data, which may hold the same pictures.

    Returns:
        The manifest; and which samples the run was trained on, as far as it says, bool (samples,).
    """
    # One that went on from another run may have its images in other splits than its data alone.
    own = earlier_run(found.config) is None
    if own and manifest.same_data(str(found.facts.data_fingerprint)):
        return manifest, manifest.splits == TRAIN
    seen = seen_by(found.path)
    if seen is None:
        note = "has no split.csv: nobody can tell which of these images it was trained on"
        console.say(f"{'seen':<10} {found.path} {note}")
        return manifest, np.zeros(len(manifest.ids), bool)
    known = seen.of(manifest)
    manifest, taken = unseen(manifest, known)
    if (known != UNSEEN).any():
        how = " by id, for this run names no contents" if seen.column == "id" else ""
        console.say(
            f"{'seen':<10} {(known != UNSEEN).sum()} of {len(known)} images are in the run's "
            f"split.csv{how}; {taken} that it was trained on or chosen by are left out"
        )
    return manifest, known == TRAIN


def marked(trained: int, count: int) -> dict[str, int]:
    """What is said beside figures that are too good: how many of their images were trained on."""
    if not trained:
        return {}
    console.say(
        f"{'note':<10} the run was trained on {trained} of these {count} images: the figures are "
        "too good. split=test leaves them out"
    )
    return {"trained_on": trained}


def data_of(found: Any, given: Mapping[str, Any] | None) -> Manifest:
    """The run's own data, or other data whose labels are the checkpoint's classes by name.

    Raises:
        DataError: The run's data changed, or the classes do not match.
    """
    values = placed(found.config, checkpoint.started_in(found.path))["data"]
    if values["name"] in ("folder", "csv", "photos", "tfrecord"):
        values = {"damaged": "use", **values}  # a run of version 0.1.0, which had no such key
    same_option = not given or given.get("name", values["name"]) == values["name"]
    if given and "path" in given:  # tables of the run's data name no picture of other data
        values = {**values, **dict.fromkeys(CHOICES & values.keys())}
    values = {**values, **(given or {})} if same_option else dict(given or {})
    if same_option:
        registry.require_plugins(found.facts.plugins, ("data",), str(found.path))
    seed = int(found.config["seed"])
    manifest: Manifest = registry.build("data", values).manifest(seed, cache_folder(
        found.config.get("cache_dir")))  # fmt: skip
    if not given and not manifest.same_data(str(found.facts.data_fingerprint)):
        fault = manifest.images.first_broken(range(len(manifest.ids)))
        if isinstance(fault, FaultyPictures):  # which the training left out, perhaps elsewhere
            raise fault
        raise DataError(
            manifest.root, "is not the data this run was trained on: files changed since",
            "Restore it, or point at data on purpose: data.path=PATH.",
        )  # fmt: skip
    return by_name(manifest, found.class_names)
