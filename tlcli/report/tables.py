"""The parts of a run's report that are figures and words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tlcli.config.compose import literal
from tlcli.config.differences import command, differences, option_of
from tlcli.evaluation.intervals import wilson
from tlcli.report.measures import MOST_SHOWN, Classes, average_precisions, shown_classes
from tlcli.report.values import RunValues
from tlcli.system.shown import shown

NAMES = {
    "accuracy": "accuracy", "top5_accuracy": "top-5 accuracy", "subset_accuracy": "all right",
    "macro_f1": "macro F1", "balanced_accuracy": "balanced accuracy",
    "mean_average_precision": "mean average precision", "ece": "calibration error", "loss": "loss",
    "coverage": "coverage of sets", "set_size": "mean size of sets",
}  # fmt: skip
SHARES = ("accuracy", "top5_accuracy", "subset_accuracy", "coverage")
MOST_PAIRS = 30


def interval(found: Mapping[str, float], name: str, several: bool) -> tuple[float, float] | None:
    """Ends of a figure's 95 % interval: as the run has them, else Wilson's of a share of images."""
    if f"{name}_low" in found and f"{name}_high" in found:
        return found[f"{name}_low"], found[f"{name}_high"]
    count = found.get("samples")
    if name not in SHARES or not count or (several and name == "accuracy"):
        return None
    low, high = wilson(found[name] * count, count)
    return float(low), float(high)


def figures(run: RunValues) -> list[tuple[str, list[dict[str, str]]]]:
    """Tiles of each split, the test images first."""
    result = []
    classes = len(run.facts.class_names)
    for split in ("test", "validation"):
        found = run.metrics.get(split)
        if not found:
            continue
        tiles = []
        for name, title in NAMES.items():
            if name in found and (name != "top5_accuracy" or classes > 5):
                ends = interval(found, name, run.facts.multi_label)
                told = "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
                tiles.append({"name": title, "value": f"{found[name]:.4f}", "range": told})
        count = f"{split}, {int(found.get('samples', 0)):,} images"
        result.append((count, tiles))
    return result


def changed(run: RunValues) -> list[tuple[str, str]]:
    """What differs from the defaults, as texts."""
    return [(key, shown(value if isinstance(value, str) else literal(value)))
            for key, value in differences(run.config)]  # fmt: skip


def subject(run: RunValues) -> str:
    """What was trained, a sentence."""
    config, facts = run.config, run.facts
    weights = config["backbone"].get("weights")
    network, head, tuned, method = (
        shown(option_of(group, config[group])[0])
        for group in ("backbone", "head", "finetune", "distillation")
    )
    by = "" if config["teacher"]["name"] == "none" else f", taught by {method}"
    return (
        f"{network} with weights {shown(weights)}, head {head}, by {tuned}{by}, on "
        f"{len(facts.class_names):,} classes of {shown(facts.data_root)}."
    )


def facts_of(run: RunValues) -> list[tuple[str, str]]:
    """Data, weights, versions and time."""
    facts = run.facts
    told = run.predictions
    sizes = [] if told is None else [
        f"{int((told.splits == s).sum()):,} {s}" for s in ("validation", "test")]  # fmt: skip
    versions = {"tl": facts.tlcli, **facts.versions}
    rows = (
        ("run", run.path), ("data", facts.data_root), ("fingerprint", facts.data_fingerprint),
        ("measured on", ", ".join(sizes)), ("parameters", f"{facts.parameters or 0:,}"),
        ("seed", facts.seed), ("seconds of training", facts.seconds),
        ("best epoch", _best(facts.best_epoch)),
        ("image size", f"{facts.resize.size} px, {facts.resize.mode}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("git commit", facts.git_commit),
    )  # fmt: skip
    return [(name, shown(value)) for name, value in rows if value not in (None, "")]


def _best(found: Sequence[int]) -> str:
    """Phase, counted from 0, and epoch, counted from 1, in words."""
    return f"{found[1]} of phase {found[0] + 1}" if len(found) > 1 else ""


def repeated(run: RunValues) -> str:
    """The command that trains the same again."""
    return command(run.config)


def class_rows(run: RunValues, found: Classes) -> list[dict[str, Any]]:
    """A row a class: images, precision, recall, F1, and of several labels more.

    Of very many classes there are rows of those that have the lowest F1.
    """
    values = found.figures()
    more, names = extra_columns(run), run.facts.class_names
    return [
        {
            "name": shown(names[i]), "n": int(found.real[i]),
            **{key: tuple(float(v[i]) for v in three) for key, three in values.items()},
            "more": [float(column[i]) for column in more],
        }
        for i in shown_classes(found.real, values["f1"][0]).tolist()
    ]  # fmt: skip


def class_note(classes: int) -> str:
    """Which classes have a row, where not all have one, a sentence."""
    if classes <= MOST_SHOWN:
        return ""
    return f"Of {classes:,} classes those {MOST_SHOWN:,} that do worst, of those with images."


def class_columns(run: RunValues) -> list[str]:
    """Titles of that table."""
    extra = ["average precision", "threshold"] if run.facts.multi_label else []
    return ["class", "images", "precision", "recall", "F1", *extra]


def extra_columns(run: RunValues) -> list[Any]:
    """Average precision and threshold of each class, of several labels alone."""
    told = run.predictions
    if told is None or not told.multi_label:
        return []
    return [average_precisions(told.of(run.split)), told.thresholds]


def pair_rows(run: RunValues, pairs: Sequence[tuple[int, int, int]], real: Any) -> list[Any]:
    """The most confused pairs in words."""
    names = run.facts.class_names
    return [
        {"real": shown(names[a]), "guess": shown(names[b]), "count": n,
         "share": n / max(1, int(real[a]))} for a, b, n in pairs
    ]  # fmt: skip


def square_of(names: Sequence[str], matrix: Any) -> dict[str, Any]:
    """A confusion matrix as a table."""
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    rows = [
        {"name": shown(name), "cells": [(int(c), f"{s:.3f}") for c, s in zip(*pair, strict=True)]}
        for name, *pair in zip(names, matrix, share, strict=True)
    ]
    return {"names": [shown(name) for name in names], "rows": rows}


def beside_teacher(run: RunValues) -> dict[str, Any] | None:
    """Student and teacher side by side, None of a run that had no teacher."""
    found = run.facts.fidelity
    if not found:
        return None
    rows = []
    for name, scale, unit in (
        ("accuracy", 1, ""), ("mean_average_precision", 1, ""), ("ece", 1, ""),
        ("parameters", 1, ""), ("flops", 1e9, " GFLOPs"), ("bytes", 1e6, " MB"),
        ("latency_ms", 1, " ms on the CPU"),
    ):  # fmt: skip
        pair = [found.get(f"{who}_{name}") for who in ("student", "teacher")]
        if any(isinstance(v, (int, float)) for v in pair):
            rows.append((NAMES.get(name, name.replace("_ms", "")),
                         *(_told(value, scale, unit) for value in pair)))  # fmt: skip
    said = []
    if "agreement" in found:
        count = found.get("images", 0)
        said.append(f"agrees with its teacher on {found['agreement']:.4f} of {count:,} images")
    if "kl" in found:
        said.append(f"KL {found['kl']:.4f} nats")
    stages = found.get("stage_cka") or []
    changes = (found.get("class_change") or {}).items()
    return {
        "said": "; ".join(said), "rows": rows,
        "stages": ", ".join(f"{pair['cka']:.2f}" for pair in stages),
        "changes": [(shown(name), change) for name, change in sorted(changes, key=lambda p: p[1])],
    }  # fmt: skip


def _told(value: Any, scale: float, unit: str) -> str:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return "-"
    if isinstance(value, int) and scale == 1:
        return f"{value:,}"
    return f"{value / scale:.4g}{unit}"


def audit_rows(rows: Sequence[Mapping[str, str]], most: int = 500) -> dict[str, Any] | None:
    """Findings of an audit, the first ones of them."""
    if not rows:
        return None
    kinds = sorted({row["kind"] for row in rows})
    said = ", ".join(f"{sum(row['kind'] == k for row in rows):,} {shown(k)}" for k in kinds)
    cut = f"; the first {most:,} of {len(rows):,} are shown" if len(rows) > most else ""
    columns = ["kind", "class", "suggestion", "score", "split", "id", "detail"]
    return {
        "said": f"{said}{cut}", "columns": columns,
        "rows": [[shown(row[name]) for name in columns] for row in rows[:most]],
    }  # fmt: skip
