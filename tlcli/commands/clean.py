"""`tl clean`: take away what finished runs keep without need."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tlcli.commands.compare_rows import find_runs
from tlcli.config.checking import Checked
from tlcli.config.settings import Clean
from tlcli.runs import checkpoint, claim, packing
from tlcli.system import console, files
from tlcli.system.shown import shown


def run(checked: Checked[Clean, None]) -> int:
    """Clean as configured and tell what went; returns the exit code.

    Raises:
        DataError: A folder holds no run, or a finished one that is damaged.
        ConfigError: Another process works in one.
    """
    console.start_log(None)
    settings = checked.settings
    folders = find_runs(settings.runs)
    kept = [folder for folder in folders if not checkpoint.is_finished(folder)]
    for folder in kept:
        sys.stderr.write(f"tl clean: {shown(folder)} did not finish, and is left as it is\n")
    freed = sum(cleaned(one, settings.plan_only) for one in folders if one not in kept)
    verb = "would be" if settings.plan_only else "are" if freed else "is"
    sys.stdout.write(f"{files.megabytes(freed) if freed else 'nothing'} {verb} freed\n")
    return 0


def cleaned(folder: Path, plan_only: bool) -> int:
    """Bytes of what a run keeps without need; it goes unless only a plan is asked for."""
    if plan_only:
        return told(packing.needless(folder))
    with claim.owned(folder, "runs"):
        found = packing.needless(folder)
        freed = told(found)
        for path in found:
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                raise files.write_error(path, error) from error
    return freed


def told(found: Sequence[Path]) -> int:
    """Say what goes; gives its bytes."""
    sizes = [size_of(path) for path in found]
    for path, size in zip(found, sizes, strict=True):
        console.say(f"{'clean':<10} {shown(path)}  {files.megabytes(size)}")
    return sum(sizes)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(one.lstat().st_size for one in inside if not one.is_dir())
