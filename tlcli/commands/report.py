"""`tl report`: one page of a run, or of several beside each other."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tlcli.commands import compare, compare_rows, pairs
from tlcli.commands.evaluate import data_of
from tlcli.config import bundled
from tlcli.config.checking import Checked
from tlcli.config.settings import Report
from tlcli.data.views import Views, worker_count
from tlcli.errors import ConfigError, TlError
from tlcli.report import comparison, single, values
from tlcli.report.pictures import Source
from tlcli.runs import checkpoint, output
from tlcli.system import console
from tlcli.system.files import expanded
from tlcli.system.shown import shown


def run(checked: Checked[Report, None]) -> int:
    """Write the page and print its path; returns the exit code.

    Raises:
        DataError: A folder holds no finished run, or a file of it is damaged.
    """
    console.start_log(None)
    settings = checked.settings
    folders = [bundled.located(word, "runs") for word in settings.runs]
    usual = bundled.home(settings.runs[0], "runs") / "report.html"
    usual = usual if len(folders) == 1 else Path("comparison.html")
    place = output.place(settings.output or str(usual), settings.overwrite)
    audit = settings.audit
    findings = [] if audit is None else values.findings(expanded(audit, "audit"))
    found = [values.read(folder) for folder in folders]
    if len(found) > 1:
        text = comparison.page(found, *verdicts(folders))
    else:
        source, why = source_of(folders[0], settings) if settings.thumbnails else (None, "")
        with console.Stage("writing the report"):
            text = single.page(found[0], source, settings.thumbnails, findings, why)
    output.write(place, text.encode("utf-8", "backslashreplace"))
    sys.stdout.write(f"{shown(place)}\n")
    return 0


def verdicts(folders: Sequence[Path]) -> tuple[list[tuple[str, ...]], str]:
    """Which of every two runs is better, and why nothing can be said of some."""
    figure, rows = compare_rows.gather(folders, "auto")
    try:
        found, notes = pairs.compared(compare.units(folders, rows), figure, unpaired=False)
    except ConfigError as problem:
        return [], str(problem)
    return [(pair.a, pair.b, pair.told, pair.basis) for pair in found], " ".join(notes)


def source_of(folder: Path, settings: Report) -> tuple[Source | None, str]:
    """The run's pictures and network; None and why where its data is gone or another."""
    with console.Stage("reading the checkpoint"):
        found = checkpoint.read_run(folder)
    try:
        manifest = data_of(found, None)
    except TlError as problem:
        why = f"There are no pictures: {shown(problem)}"
        console.say(f"{'report':<10} {why}")
        return None, why
    views = Views(manifest, found.resize, None, 0, worker_count(settings.workers))
    return Source(views, found.model if settings.explain else None), ""
