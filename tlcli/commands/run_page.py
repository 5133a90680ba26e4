"""The page that a training ends with: report.html of its run."""

import logging
import time
from typing import Any

from tlcli.report import single, values
from tlcli.report.pictures import Source
from tlcli.runs import output
from tlcli.runs.folder import RunFolder
from tlcli.system import console
from tlcli.system.notes import WARNING
from tlcli.system.shown import shown
from tlcli.training.plan import Plan

FILE = "report.html"
log = logging.getLogger(__name__)


def written(plan: Plan, model: Any, folder: RunFolder) -> None:
    """Write the page of a run that is written, if one is asked for, and say how long it took.

    The run is whole without it: whatever prevents the page is told and ends nothing.

    Args:
        plan: Of the training.
        model: The run's network, uint8 images to logits.
        folder: The run's.
    """
    thumbnails = plan.pieces.job.settings.thumbnails
    if thumbnails is None:
        return
    started = time.monotonic()
    try:
        with console.Stage("writing the report"):
            source = Source(plan.pieces.plain_views, model) if thumbnails else None
            text = single.page(values.read(folder.path), source, thumbnails, [])
        folder.check()
        output.write(folder.path / FILE, text.encode("utf-8", "backslashreplace"))
    except Exception as problem:  # of a library that draws, of a disk, of a picture
        log.debug("no report", exc_info=True)
        console.say(f"report     none: {shown(problem)}; write it with tl report", WARNING)
        return
    seconds = time.monotonic() - started
    console.say(f"report     {shown(folder.path / FILE)} ({seconds:.1f} s)")
