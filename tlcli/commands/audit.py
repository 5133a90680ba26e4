"""`tl audit`: look through labelled pictures before a training, and write down what is wrong.

Every picture is decoded once; what is found of it stands in tables that a training can heed. The
data itself is only read.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.audit import findings, page, summary
from tlcli.audit.copies import copies
from tlcli.audit.cues import cues
from tlcli.audit.facts import facts_of
from tlcli.audit.findings import Seen
from tlcli.audit.label_errors import label_errors
from tlcli.audit.leaks import leaks
from tlcli.audit.looked import Looked, look
from tlcli.audit.near import Pairs, near_copies
from tlcli.audit.neighbours import centred, nearest
from tlcli.audit.network import embedder
from tlcli.audit.odd import odd_pictures, outliers
from tlcli.audit.summary import Summary
from tlcli.audit.together import Together
from tlcli.commands.sharing import crew_of
from tlcli.config.checking import Checked
from tlcli.config.settings import Audit, cache_folder
from tlcli.contracts.data import Manifest
from tlcli.data.damage import persistent
from tlcli.data.resize import Resize
from tlcli.data.views import Views, worker_count
from tlcli.errors import ConfigError
from tlcli.lazy import keras
from tlcli.report.pictures import SIDE
from tlcli.runs import output
from tlcli.system import console, files
from tlcli.system.crew import Crew
from tlcli.system.files import expanded
from tlcli.system.shown import json_line, shown, typed

FILES = ("audit.html", "audit.csv", "scores.csv", "audit.json")
NEIGHBOURS = 8


def run(checked: Checked[Audit, None]) -> int:
    """Audit as configured; returns the exit code.

    Raises:
        ConfigError: Files of another's are in the way, or no weights are to be had.
        DataError: Data that cannot be used.
    """
    return persistent(lambda: audit(checked), lambda line: sys.stderr.write(f"{line}\n"))


def audit(checked: Checked[Audit, None]) -> int:
    """Audit once; pictures that turn out to be faulty stop it."""
    console.start_log(None)
    output.check_apart(checked.settings.output, checked.config["data"])
    crew = crew_of(checked)
    with output.folder(checked.settings.output, "output", FILES, crew.is_chief) as folder:
        return _audit(checked, crew, folder)


def _audit(checked: Checked[Audit, None], crew: Crew, folder: Path) -> int:
    settings, started = checked.settings, time.monotonic()
    places = {name: output.place(str(folder / name), settings.overwrite) for name in FILES}
    manifest: Manifest = checked.options["data"].manifest(
        settings.seed, cache_folder(settings.cache_dir)
    )
    check_outside(folder, manifest, checked.config["data"])
    keras.utils.set_random_seed(settings.seed)
    name = checked.config["backbone"]["name"]
    with console.Stage("building the network"):
        network = embedder(checked.options["backbone"], name, settings.image_size)
    console.say(f"network    {network.told}")
    looked = look(network, views_of(manifest, network.side, "squash", settings),
                  len(manifest.ids), settings.batch_size, crew)  # fmt: skip
    alike = alike_of(looked, crew)
    if not crew.is_chief:
        return 0
    seen = looked_through(manifest, looked, alike, settings)
    found = Summary(manifest, network.told, findings.findings(manifest, seen), seen,
                    summary.notes_of(manifest, seen),
                    summary.typed_data(checked.config["data"]))  # fmt: skip
    write(found, settings, places, started)
    tell(found, folder, places)
    return 0


def check_outside(folder: Path, manifest: Manifest, data: Mapping[str, Any]) -> None:
    """Refuse an output within a folder of pictures; beside a table it is no part of the data.

    Raises:
        ConfigError: It lies there.
    """
    if data["name"] != "csv" and output.lies_in(folder, manifest.root):
        root = expanded(manifest.root, "output").resolve()
        problem = f"{shown(folder)} lies in the data, which is only read"
        remedy = f"Give output={typed(root.parent / 'audit')}."
        raise ConfigError("output", problem, remedy)


@dataclass(frozen=True, eq=False)
class Alike:
    """Which pictures are like which.

    Attributes:
        vectors: Of each, see `centred`.
        likeness: Of its neighbours, see `nearest`.
        pairs: Copies.
    """

    vectors: Any
    likeness: Any
    pairs: Pairs


def alike_of(looked: Looked, crew: Crew) -> Alike:
    """All pictures compared with all, each by one of the workers."""
    together = Together.of(crew, (looked.embeddings, looked.grey))
    vectors = centred(looked.embeddings)
    neighbours, likeness = nearest(vectors, NEIGHBOURS, together)
    return Alike(vectors, likeness, near_copies(looked, neighbours, likeness, together))


def looked_through(manifest: Manifest, looked: Looked, alike: Alike, settings: Audit) -> Seen:
    """What all leaves find."""
    count, labels = len(manifest.ids), manifest.labels
    classes = len(manifest.class_names)
    facts = facts_of(manifest.images, count)
    same = copies(manifest.images.hashes(np.arange(count)), alike.pairs, manifest.splits)
    judged = not manifest.multi_label and classes > 1 and bool((labels >= 0).any())
    kinds = labels if not manifest.multi_label else np.unique(labels, axis=0, return_inverse=True)[
        1].reshape(-1)  # fmt: skip
    with console.Stage("judging labels"):
        return Seen(
            label_errors(looked.embeddings, labels, classes, settings.seed) if judged else None,
            same, odd_pictures(looked, facts), outliers(alike.likeness),
            cues(looked, facts, labels, classes, settings.seed) if judged else [],
            leaks(manifest.ids, facts, manifest.splits, kinds, alike.vectors, settings.seed),
        )  # fmt: skip


def views_of(manifest: Manifest, side: int, mode: Any, settings: Audit) -> Views:
    """Whole pictures as squares."""
    return Views(manifest, Resize(side, mode, 1.0, True), None, 0, worker_count(settings.workers))


def write(found: Summary, settings: Audit, places: Mapping[str, Path], started: float) -> None:
    """Write the page, the tables and audit.json."""
    with console.Stage("writing the page"):
        views = views_of(found.manifest, SIDE, "pad", settings)
        text = page.page(found, views, settings.thumbnails, str(places["audit.csv"]))
    errors = found.seen.errors
    content = {
        "audit.csv": findings.as_csv(found.manifest, found.found),
        "scores.csv": findings.scores_csv(found.manifest, errors),
        "audit.json": json_line(files.as_json(found.as_json(time.monotonic() - started))),
        "audit.html": text,
    }
    files.make_folder(places["audit.csv"].parent)
    for name, one in content.items():
        output.write(places[name], one.encode("utf-8", "backslashreplace"))


def tell(found: Summary, folder: Path, places: Mapping[str, Path]) -> None:
    """Say what was found, and what to do with it."""
    for label, text in summary.lines(found).items():
        if label != "network":  # said before
            console.say(f"{label:<10} {text}")
    for note in found.notes:
        console.say(f"{'note':<10} {note}")
    table = typed(places["audit.csv"])
    console.say(f"{'look at':<10} {shown(places['audit.html'])}, and delete wrong rows of "
                f"{shown(places['audit.csv'])}")  # fmt: skip
    console.say(f"{'next':<10} tl train {found.typed} data.exclude={table}")
    sys.stdout.write(f"{shown(folder)}\n")
