"""`tl eval`: measure a checkpoint on its own test images, or on other data by class name."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.config import registry
from tlcli.config.checking import Checked
from tlcli.config.settings import Eval, cache_folder
from tlcli.contracts.data import Manifest
from tlcli.data.views import Views, worker_count
from tlcli.errors import DataError
from tlcli.evaluation.classifier import by_name, classifier, logits_of, rows_of, scored
from tlcli.runs import checkpoint
from tlcli.system import console, files


def run(checked: Checked[Eval, None]) -> int:
    """Measure as configured and print the figures; returns the exit code."""
    console.start_log(None)
    settings = checked.settings
    found = checkpoint.read_run(settings.checkpoint)
    manifest = data_of(found, checked.config.get("data"))
    rows = rows_of(manifest, settings.split)
    views = Views(manifest, found.resize, None, 0, worker_count(settings.workers))
    call = classifier(found.model, settings.tta)
    logits = logits_of(call, views, rows, settings.batch_size)
    scores = scored(logits, manifest, rows, found.temperature, found.thresholds)
    figures = scores.result()
    content = json.dumps(figures, indent=2) + "\n"
    if settings.output:
        files.write_text(Path(settings.output).expanduser(), content)
    if settings.format == "json":
        sys.stdout.write(content)
        return 0
    sys.stdout.write(f"{settings.split:<10} {len(rows)} images of {manifest.root}\n")
    sys.stdout.write(f"{'figures':<10} {console.figures_line(figures, len(found.class_names))}\n")
    sys.stdout.write(
        f"{'worst':<10} {console.worst_classes(scores.per_class(), found.class_names)}\n"
    )
    return 0


def data_of(found: Any, given: Mapping[str, Any] | None) -> Manifest:
    """The run's own data, or other data whose labels are the checkpoint's classes by name.

    Raises:
        DataError: The run's data changed, or the classes do not match.
    """
    values = dict(found.config["data"])
    same_option = not given or given.get("name", values["name"]) == values["name"]
    values = {**values, **(given or {})} if same_option else dict(given or {})
    if same_option:
        registry.require_plugins(found.facts.plugins, ("data",), str(found.path))
    seed = int(found.config["seed"])
    manifest: Manifest = registry.build("data", values).manifest(seed, cache_folder(
        found.config.get("cache_dir")))  # fmt: skip
    if not given and not manifest.same_data(str(found.facts.data_fingerprint)):
        raise DataError(
            manifest.root, "is not the data this run was trained on: files changed since",
            "Restore it, or point at data on purpose: data.path=PATH.",
        )  # fmt: skip
    return by_name(manifest, found.class_names)
