"""`tl teacher verify`: compute stored teacher outputs again and compare."""

import sys

from tlcli.config import bundled, chain
from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob, train_job
from tlcli.config.settings import Verify
from tlcli.distill.attach import attach
from tlcli.errors import ConfigError
from tlcli.system import console
from tlcli.training.build import pieces_of


def run(checked: Checked[Verify, TrainJob]) -> int:
    """Compare; returns 0 when all differences are within the tolerance, else 1.

    Raises:
        TlError: There is no teacher, nothing is stored, or it belongs to something else.
    """
    console.start_log(None)
    job = checked.job
    if checked.settings.checkpoint is not None:
        # The teacher is one that the run trained itself, or the assistant that taught it.
        _, own = chain.stages(
            job.config, bundled.located(checked.settings.checkpoint, "checkpoint")
        )
        job = job if own is None else train_job(own)
    if not job.teacher.is_teacher:
        raise ConfigError("teacher", "there is none", "Give the words of the training it is for.")
    built = attach(pieces_of(job)).teacher.built
    if built is None or built.kept is None:
        raise ConfigError(
            "teacher",
            "a file of outputs is no store",
            "Give a teacher that is run, as teacher=run.",
        )
    kept = built.kept
    found = kept.differences(checked.settings.samples)
    sys.stdout.write(f"{found['items']} of {kept.items} outputs in {found['folder']}\n")
    wrong, tolerance = 0, checked.settings.tolerance
    for name, value in found["largest"].items():
        fine = value <= tolerance
        wrong += not fine
        verdict = "ok" if fine else f"DIFFERS, {tolerance:g} is allowed"
        sys.stdout.write(f"{name:<24} largest difference {value:.3g}  {verdict}\n")
    return int(wrong > 0)
