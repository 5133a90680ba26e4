"""`tl compare`: several runs in one table, with mean and deviation over seeds."""

import io
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tlcli.commands import gains, pairs
from tlcli.config.checking import Checked
from tlcli.config.settings import Compare
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation import significance
from tlcli.runs import checkpoint, output
from tlcli.runs.facts import Facts
from tlcli.runs.resume import FREE_KEYS
from tlcli.system import files
from tlcli.system.files import expanded
from tlcli.system.shown import CsvWriter, json_line, shown, shown_lines

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


def run(checked: Checked[Compare, None]) -> int:
    """Compare runs as configured; returns the exit code.

    Raises:
        DataError: A folder holds no run.
    """
    given = checked.settings
    place = None if given.output is None else output.place(given.output, given.overwrite)
    runs = find_runs(given.runs)
    figure, rows = gather(runs, given.figure)
    found, notes = pairs.compared(units(runs, rows), figure, given.unpaired)
    text = WRITERS[given.format](figure, rows)
    if given.format == "json":
        text = as_json(figure, rows, found)
    elif given.format == "table":
        lines = [pair.line() for pair in found] + notes
        told = "\n" + "".join(lines) if lines else ""
        text = shown_lines(text + told + gained(figure, rows))
    else:
        sys.stderr.writelines(notes)
    if place is None:
        sys.stdout.write(text)
    else:
        output.write(place, text.encode())
    return 0


def units(runs: Sequence[Path], rows: Sequence["Row"]) -> list[pairs.Unit]:
    """What is compared two by two: in the order given, of many the best first."""
    single = [row for row in rows if row.seeds == 1]
    found = pairs.units_of(_alike(single))
    if len(found) > pairs.MOST_UNITS:
        return found
    place = {run: number for number, run in enumerate(runs)}
    return sorted(found, key=lambda unit: min(place[run] for run in unit.runs.values()))


def after_sweep(folder: Path) -> None:
    """Print the table of a sweep and write it into its folder, if any of its runs began."""
    try:
        found = find_runs([str(folder)])
    except DataError:
        return
    figure, rows = gather(found, "auto")
    files.write_text(folder / "comparison.csv", as_csv(figure, rows))
    text = shown_lines(as_table(figure, rows) + gained(figure, rows))
    sys.stdout.write(f"\n{text}\nwritten to {folder / 'comparison.csv'}\n")


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
        path = expanded(word, "runs")
        inside = list(_runs_in(path)) if path.is_dir() else []
        if not inside:
            raise DataError(word, "holds no run", "Give run folders, or a folder of runs.")
        found += [run for run in inside if run not in found]
    return found


def _runs_in(path: Path) -> list[Path]:
    if (path / "config.json").is_file():
        return [path]
    inner = sorted((p for p in path.iterdir() if p.is_dir() and p.name[0] != "."), key=_natural)
    return [run for folder in inner for run in _runs_in(folder)]


def _natural(path: Path) -> tuple[int, str]:
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
    return [_mean(group) for group in _alike(rows) if len(group) > 1]


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one run that differ in their seed alone, together."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        rest = {k: v for k, v in row.config.items() if k != "seed"}
        groups.setdefault(json.dumps(rest, sort_keys=True), []).append(row)
    return list(groups.values())


def gained(figure: str, rows: Sequence[Row]) -> str:
    """What a teacher was worth in each configuration, where runs have a control; else nothing."""
    text = ""
    for group in _alike([row for row in rows if row.seeds == 1]):
        by_seed = sorted(group, key=lambda row: _natural(Path(row.run)))
        lines = gains.over_seeds([Path(row.run) for row in by_seed], figure)
        if lines:
            config = ", ".join(f"{k}={_shown(v)}" for k, v in group[0].config.items()
                               if k != "seed")  # fmt: skip
            text += "\n" + "".join(f"{line}\n" for line in [*([config] if config else []), *lines])
    return text


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


def as_table(figure: str, rows: Sequence[Row]) -> str:
    """Aligned columns for a person; keys are cut to their last word where that is clear."""
    keys = _keys(rows)
    short = [shown(key.split(".")[-1]) for key in keys]
    heads = [shown(k) if short.count(s) > 1 or s == "name" else s
             for k, s in zip(keys, short, strict=True)]  # fmt: skip
    lines = [["run", *heads, *(f"{split} {figure}" for split in SPLITS), "parameters", "seconds"]]
    for row in rows:
        name = row.run if row.seeds == 1 else f"mean of {row.seeds} seeds"
        parameters = "-" if row.parameters is None else f"{row.parameters:,}"
        seconds = "unfinished" if row.seconds is None else f"{row.seconds:.1f}"
        config = ["" if k not in row.config else shown(_shown(row.config[k])) for k in keys]
        lines.append(
            [shown(name), *config, *(_figure(row, s) for s in SPLITS), parameters, seconds]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "".join("  ".join(_aligned(line, widths)).rstrip() + "\n" for line in lines)


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *rest = [c.rjust(w) for c, w in zip(line, widths, strict=True)]
    return [first.strip().ljust(widths[0]), *rest]


def _figure(row: Row, split: str) -> str:
    value, deviation = row.figures[split], row.deviations[split]
    if value is None:
        return "-"
    low, high = row.lows[split], row.highs[split]
    ends = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}") + ends


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _keys(rows: Sequence[Row]) -> list[str]:
    return sorted({key for row in rows for key in row.config})


def as_csv(figure: str, rows: Sequence[Row]) -> str:
    """One line a row, all digits, deviations in columns of their own."""
    keys, text = _keys(rows), io.StringIO()
    writer = CsvWriter(text)
    names = [f"{split}_{figure}{end}" for split in SPLITS for end in ("", "_sd", "_low", "_high")]
    writer.row(["run", "seeds", *keys, *names, "parameters", "seconds", "finished"])
    for row in rows:
        kinds = (row.figures, row.deviations, row.lows, row.highs)
        figures = [found[split] for split in SPLITS for found in kinds]
        config = [_shown(row.config[k]) if k in row.config else "" for k in keys]
        rest = [row.parameters, row.seconds, str(row.finished).lower()]
        writer.row([row.run, row.seeds, *config, *figures, *rest])
    return text.getvalue()


def as_json(figure: str, rows: Sequence[Row], found: Sequence[pairs.Pair] = ()) -> str:
    """Everything, for a program."""
    content = {
        "figure": figure, "rows": [asdict(row) for row in rows],
        "pairs": [pair.as_json() for pair in found],
    }  # fmt: skip
    return json_line(json.dumps(content, indent=2, ensure_ascii=False)) + "\n"


WRITERS = {"table": as_table, "csv": as_csv, "json": as_json}
