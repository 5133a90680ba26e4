"""What `tl compare` prints: a table, CSV or JSON."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tlcli.commands import gains, pairs
from tlcli.commands.compare_rows import SPLITS, Row, alike, natural
from tlcli.system.shown import CsvWriter, json_line, shown


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


def gained(figure: str, rows: Sequence[Row]) -> str:
    """What a teacher was worth in each configuration, where runs have a control; else nothing."""
    text = ""
    for group in alike([row for row in rows if row.seeds == 1]):
        by_seed = sorted(group, key=lambda row: natural(Path(row.run)))
        lines = gains.over_seeds([Path(row.run) for row in by_seed], figure)
        if lines:
            config = ", ".join(f"{k}={_shown(v)}" for k, v in group[0].config.items()
                               if k != "seed")  # fmt: skip
            text += "\n" + "".join(f"{line}\n" for line in [*([config] if config else []), *lines])
    return text
