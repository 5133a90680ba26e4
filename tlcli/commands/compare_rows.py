"""Rows of `tl compare`: runs, the best first, then means over seeds."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config import bundled
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation import significance
from tlcli.runs import checkpoint
from tlcli.runs.facts import Facts
from tlcli.runs.resume import FREE_KEYS

SPLITS = ("validation", "test")
FALLING = significance.FALLING


@dataclass(frozen=True)
class Row:
    """One run, or the mean of runs that differ in their seed alone.

    Attributes:
        run: Folder; "mean" for several.
        config: Dotted keys in which the compared runs differ, with its values.
        seeds: How many runs it stands for.
        figures: By split; None where there is none.
        deviations: Sample standard deviation by split; None for one run.
        lows: Lower ends of the intervals of 95 % by split: over images, or over seeds.
        highs: Upper ends.
        parameters: Weights of the model.
        seconds: Of the training; a mean for several runs.
        finished: Whether all its runs are.
    """

    run: str
    config: dict[str, Any]
    seeds: int
    figures: dict[str, float | None]
    deviations: dict[str, float | None]
    lows: dict[str, float | None]
    highs: dict[str, float | None]
    parameters: int | None
    seconds: float | None
    finished: bool


def find_runs(given: Sequence[str]) -> list[Path]:
    """The run folders named, or inside folders named; a run's own inner runs are left out.

    Raises:
        ConfigError: None is named.
        DataError: A folder holds none.
    """
    if not given:
        raise ConfigError("runs", "no value", "Give folders: tl compare runs/sweep/TIME.")
    found: list[Path] = []
    for word in given:
        path = bundled.located(word, "runs")
        inside = list(_runs_in(path)) if path.is_dir() else []
        if not inside:
            raise DataError(word, "holds no run", "Give run folders, or a folder of runs.")
        found += [run for run in inside if run not in found]
    return found


def _runs_in(path: Path) -> list[Path]:
    if (path / "config.json").is_file():
        return [path]
    inner = sorted((p for p in path.iterdir() if p.is_dir() and p.name[0] != "."), key=natural)
    return [run for folder in inner for run in _runs_in(folder)]


def natural(path: Path) -> tuple[int, str]:
    """Job 10 after job 9."""
    return (int(path.name) if path.name.isdecimal() else -1, path.name)


def gather(runs: Sequence[Path], figure: str) -> tuple[str, list[Row]]:
    """The figure compared, and rows: runs, the best first, then means over seeds.

    Args:
        runs: Run folders.
        figure: A figure of metrics.json, or "auto".

    Raises:
        DataError: A run's files are damaged.
    """
    configs = [_flat(_decisive(checkpoint.read_config(run))) for run in runs]
    facts = [_facts(run) for run in runs]
    if figure == "auto":
        figure = _common_figure(runs, facts)
    keys = sorted({k for c in configs for k in c if any(o.get(k) != c[k] for o in configs)})
    rows = []
    for path, config, fact in zip(runs, configs, facts, strict=True):
        metrics = fact.metrics if fact else {}
        rows.append(Row(
            run=str(path), config={k: config.get(k) for k in keys}, seeds=1,
            figures={s: (metrics.get(s) or {}).get(figure) for s in SPLITS},
            deviations=dict.fromkeys(SPLITS),
            lows={s: (metrics.get(s) or {}).get(f"{figure}_low") for s in SPLITS},
            highs={s: (metrics.get(s) or {}).get(f"{figure}_high") for s in SPLITS},
            parameters=fact.parameters if fact else None,
            seconds=fact.seconds if fact else None, finished=fact is not None,
        ))  # fmt: skip
    rows = _sorted(rows, figure)
    return figure, rows + _sorted(_means(rows), figure)


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without what does not decide the result."""
    return {k: v for k, v in config.items() if k not in FREE_KEYS}


def _facts(run: Path) -> Facts | None:
    return checkpoint.read_facts(run)[1] if checkpoint.is_finished(run) else None


def _flat(config: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        place = f"{where}.{key}" if where else str(key)
        found |= _flat(value, place) if isinstance(value, Mapping) else {place: value}
    return found


def _common_figure(runs: Sequence[Path], facts: Sequence[Facts | None]) -> str:
    """The figure that all runs were chosen by, else accuracy or mean average precision."""
    monitors = {str(checkpoint.read_config(run)["monitor"]) for run in runs}
    if len(monitors) == 1 and monitors != {"auto"}:
        return monitors.pop()
    several = any(fact.multi_label for fact in facts if fact)
    return "mean_average_precision" if several else "accuracy"


def _sorted(rows: list[Row], figure: str) -> list[Row]:
    """The best on validation (else test) first, those without a figure last."""
    sign = 1 if figure in FALLING else -1

    def place(row: Row) -> tuple[bool, float]:
        value = next((v for v in row.figures.values() if v is not None), None)
        return (value is None, 0.0 if value is None else sign * value)

    return sorted(rows, key=place)


def _means(rows: Sequence[Row]) -> list[Row]:
    """One row for each configuration that was run with several seeds."""
    return [_mean(group) for group in alike(rows) if len(group) > 1]


def alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one run that differ in their seed alone, together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        rest = {k: v for k, v in row.config.items() if k != "seed"}
        groups.setdefault(json.dumps(rest, sort_keys=True), []).append(row)
    return list(groups.values())


def _mean(rows: Sequence[Row]) -> Row:
    values = {s: [v for r in rows if (v := r.figures[s]) is not None] for s in SPLITS}
    seconds = [r.seconds for r in rows if r.seconds is not None]
    ends = {s: significance.of_seeds(v) or (None, None) for s, v in values.items()}
    return Row(
        run="mean", config={k: v for k, v in rows[0].config.items() if k != "seed"},
        seeds=len(rows), figures={s: statistics.fmean(v) if v else None for s, v in values.items()},
        deviations={s: statistics.stdev(v) if len(v) > 1 else None for s, v in values.items()},
        lows={s: e[0] for s, e in ends.items()}, highs={s: e[1] for s, e in ends.items()},
        parameters=rows[0].parameters, seconds=statistics.fmean(seconds) if seconds else None,
        finished=all(r.finished for r in rows),
    )  # fmt: skip
