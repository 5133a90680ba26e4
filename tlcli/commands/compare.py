"""`tl compare`: several runs in one table, with mean and deviation over seeds."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tlcli.commands import pairs
from tlcli.commands.compare_rows import Row, alike, find_runs, gather
from tlcli.commands.compare_text import WRITERS, as_csv, as_json, as_table, gained
from tlcli.config.checking import Checked
from tlcli.config.settings import Compare
from tlcli.errors import DataError
from tlcli.runs import output
from tlcli.system import files
from tlcli.system.shown import shown_lines


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


def units(runs: Sequence[Path], rows: Sequence[Row]) -> list[pairs.Unit]:
    """What is compared two by two: in the order given, of many the best first."""
    single = [row for row in rows if row.seeds == 1]
    found = pairs.units_of(alike(single))
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
