"""`checkpoint=latest`: the run that was finished last below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from tlcli.errors import ConfigError
from tlcli.runs.checkpoint import WEIGHTS
from tlcli.system import console
from tlcli.system.files import expanded
from tlcli.system.located import located
from tlcli.system.remote import is_address
from tlcli.system.shown import shown

LATEST = "latest"
# Levels below the folder: runs/NAME/TIME, runs/sweep/TIME/NUMBER, and some to spare.
LEVELS = 5


def chosen(given: str | None, runs: str, otherwise: str) -> str:
    """The run that is meant; the newest one is said, for it is another after the next training.

    Args:
        given: As typed; None and `latest` mean the newest.
        runs: Where it is looked for.
        otherwise: What can be given instead, a sentence.

    Raises:
        ConfigError: There is none.
    """
    if given is not None and given != LATEST:
        return str(located(given, "checkpoint")) if is_address(given) else given
    folder = expanded(runs, "runs")
    found = list(finished(folder))
    if not found:
        what = "no value, and" if given is None else f"got {LATEST}, but"
        there = "there is no finished run in" if folder.is_dir() else "there is no folder"
        raise ConfigError("checkpoint", f"{what} {there} {shown(folder)}", otherwise)
    newest = max(found)[1]
    of_all = f", the newest of {len(found)} in {shown(folder)}" if len(found) > 1 else ""
    console.say(f"checkpoint {shown(newest)}{of_all}")
    return newest


def finished(folder: Path) -> Iterator[tuple[int, str]]:
    """Runs that are whole: when each was finished, in nanoseconds, and where it is.

    What lies in the folder of a run belongs to it: a control, a teacher, generations. Links are not
    followed.
    """
    waiting = [(str(folder), 0)]
    while waiting:
        path, level = waiting.pop()
        try:
            with os.scandir(path) as entries:
                inside = {entry.name: entry for entry in entries}
            whole = inside.get(WEIGHTS)
            if whole is not None and whole.is_file(follow_symlinks=False):
                yield whole.stat().st_mtime_ns, path
            if "config.json" in inside or level == LEVELS:
                continue
            waiting += [(entry.path, level + 1) for entry in inside.values()
                        if entry.is_dir(follow_symlinks=False)]  # fmt: skip
        except OSError:
            continue  # not to be read, or gone meanwhile
