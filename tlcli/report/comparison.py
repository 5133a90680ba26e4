"""Several runs on one page."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlcli.config.differences import ELSEWHERE
from tlcli.contracts import GROUPS
from tlcli.report import measures, plots, tables
from tlcli.report.page import drawn, filled
from tlcli.report.values import RunValues
from tlcli.system.shown import shown

FIGURES = ("accuracy", "mean_average_precision", "macro_f1", "balanced_accuracy", "ece", "loss")


def page(runs: Sequence[RunValues], verdicts: Sequence[Sequence[str]] = (), told: str = "") -> str:
    """The page of several runs.

    Args:
        runs: Their values.
        verdicts: Of every two runs: the first, the second, whether the first is better, and how
            that is known.
        told: Why there are none, a sentence.
    """
    split = "test" if all("test" in run.metrics for run in runs) else "validation"
    names = _short([str(run.path) for run in runs])
    there = [n for n in FIGURES if any(n in run.metrics.get(split, {}) for run in runs)]
    column = "validation_mean_average_precision" if "mean_average_precision" in there else (
        "validation_accuracy")  # fmt: skip
    curves = {shown(name, 40): run.curve for name, run in zip(names, runs, strict=True)}
    values: dict[str, Any] = {
        "title": f"{len(runs)} runs", "split": split,
        "columns": ["run", *(tables.NAMES[name] for name in there), "parameters", "seconds"],
        "rows": [_row(name, run, split, there) for name, run in zip(names, runs, strict=True)],
        "verdicts": [[shown(word) for word in row] for row in verdicts], "told": shown(told),
        "changed": _changed(runs), "classes": [], "class_columns": [], "note": "",
        "curves": drawn(plots.compared(curves, column)) if any(curves.values()) else "",
    }  # fmt: skip
    return filled("comparison.html", values | _classes(runs, names, split))


def _short(paths: Sequence[str]) -> list[str]:
    """Paths without the folders that all lie in."""
    parts = [path.split("/") for path in paths]
    common = 0
    while all(len(p) > common + 1 for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    return ["/".join(p[common:]) for p in parts]


def _row(name: str, run: RunValues, split: str, there: Sequence[str]) -> dict[str, Any]:
    found = run.metrics.get(split, {})
    figures = []
    for figure in there:
        value = found.get(figure, float("nan"))
        ends = tables.interval(found, figure, run.facts.multi_label) if figure in found else None
        figures.append((value, *(ends or (float("nan"), float("nan")))))
    return {"name": shown(name), "figures": figures, "parameters": run.facts.parameters,
            "seconds": run.facts.seconds}  # fmt: skip


def _changed(runs: Sequence[RunValues]) -> list[tuple[str, list[str]]]:
    """Keys in which the runs differ, with the value of each."""
    flat = []
    for run in runs:
        own = {k: v for k, v in run.config.items() if k not in GROUPS and k not in ELSEWHERE}
        for group in GROUPS:
            own |= {f"{group}.{k}": v for k, v in run.config[group].items()}
        flat.append({k: json.dumps(v, ensure_ascii=False).strip('"') for k, v in own.items()})
    keys = sorted({key for one in flat for key in one})
    return [(shown(key), [shown(one.get(key, "-")) for one in flat])
            for key in keys if len({one.get(key) for one in flat}) > 1]  # fmt: skip


def _classes(runs: Sequence[RunValues], names: Sequence[str], split: str) -> dict[str, Any]:
    """Recall of each class of each run, where all were measured on the same images."""
    told = [None if r.predictions is None else r.predictions.of(split) for r in runs]
    first = told[0]
    alike = first is not None and all(
        one is not None and np.array_equal(one.ids, first.ids)
        and np.array_equal(one.labels, first.labels)
        and np.array_equal(one.class_names, first.class_names) for one in told
    )  # fmt: skip
    if first is None or not alike:
        return {"note": "Classes are not compared: the runs were not measured on the same images."}
    count = len(first.class_names)
    found = [measures.counts(one.labels, measures.guesses_of(one), count)
             for one in told if one is not None]  # fmt: skip
    recalls = [one.figures()["recall"][0] for one in found]
    chosen = measures.shown_classes(found[0].real, np.nan_to_num(np.mean(recalls, 0)))
    named = [(i, str(first.class_names[i])) for i in chosen.tolist()]
    rows = [
        {"name": shown(name), "n": int(found[0].real[i]), "recalls": [float(r[i]) for r in recalls]}
        for i, name in named
    ]  # fmt: skip
    return {
        "classes": rows,
        "note": tables.class_note(count),
        "class_columns": ["class", "images", *map(shown, names)],
    }
