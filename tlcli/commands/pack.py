"""`tl pack`: a run or an export as one file, to carry to another machine."""

import sys
from pathlib import Path

from tlcli.config.checking import Checked
from tlcli.config.settings import Pack
from tlcli.errors import DataError
from tlcli.export import manifest
from tlcli.runs import checkpoint, latest, output, packing
from tlcli.system import bundle, console, files
from tlcli.system.shown import shown


def run(checked: Checked[Pack, None]) -> int:
    """Pack as configured and print the file; returns the exit code.

    Raises:
        DataError: The folder is neither a finished run nor an export, or is damaged.
    """
    console.start_log(None)
    settings = checked.settings
    given = latest.chosen(next(iter(settings.folder), None), settings.runs, "Give a folder.")
    folder = files.expanded(given, "folder")
    usual = folder.absolute().with_name(f"{folder.absolute().name}.zip")
    place = output.place(str(settings.output or usual), settings.overwrite)
    with console.Stage("packing"):
        names, what = contents(folder)
        size = sum((folder / name).stat().st_size for name in names)
        files.check_room(place.absolute().parent, size, "packed files", "output")
        output.write_by(place, lambda file: bundle.write(file, folder, names, what))
    console.say(f"{'packed':<10} {len(names)} files, {files.megabytes(size)}")
    sys.stdout.write(f"{shown(place)}\n")
    return 0


def contents(folder: Path) -> tuple[list[str], str]:
    """Names of the files that are carried, each checked, and what the folder is."""
    if manifest.is_export(folder):
        return [manifest.FILE, *manifest.read(folder).sha256], "export"
    if (folder / checkpoint.WEIGHTS).is_file() or (folder / "config.json").is_file():
        return packing.files_of_run(folder), "run"
    raise DataError(str(folder), "is neither a run nor an export", "Give the folder of one.")
