"""Jobs with nothing left to choose: by what their folders hold, else by looking now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli.config import chain
from tlcli.config.job import TrainJob
from tlcli.data.damage import FaultyPictures
from tlcli.distill.pieces import Pieces
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint, state
from tlcli.runs.folder import RunFolder
from tlcli.runs.resume import check_same_config, placed_as_begun, resumed_job
from tlcli.runs.state_data import made_with_faulty
from tlcli.runs.stored_job import found_again
from tlcli.system import console
from tlcli.system.notes import WARNING
from tlcli.training import auto, auto_backbone, balance, batch_size
from tlcli.training.data import data_of
from tlcli.training.devices import start_devices


def numbered(job: TrainJob, run_dir: Path) -> TrainJob:
    """The job with its batch size as a number: a begun run's own, or the largest that fits."""
    return batch_size.resolved(job, run_dir)


def settled_job(job: TrainJob, run_dir: Path, typed: tuple[str, ...]) -> TrainJob:
    """The job with nothing left to choose: what its run says, or chosen now.

    Args:
        job: As composed from the command line.
        run_dir: Its folder, which may hold a run that was begun.
        typed: Dotted keys and groups that the command line or its recipe gives.
    """
    begun = (run_dir / "config.json").is_file()
    if job.settings.resume or (begun and job.settings.auto):
        return resumed_job(job, run_dir, typed)
    if job.settings.auto:
        return auto.resolved(job, typed)
    return job


def part_job(config: Mapping[str, Any], run_dir: Path) -> TrainJob:
    """The job of a part of a run, which may be gone on with elsewhere than it was started.

    Args:
        config: Of the part.
        run_dir: Folder of the whole run.
    """
    return found_again(config, checkpoint.started_in(run_dir))


def job_of(stage: chain.Stage) -> TrainJob:
    """A stage's job with nothing left to choose.

    Raises:
        ConfigError: Its folder holds a training that was begun otherwise.
    """
    job = part_job(stage.config, stage.folder.parent)
    if stage.typed is not None:
        job = auto_backbone.resolved(job, stage.typed, stage.folder)
        job = numbered(job, stage.folder)
        if not checkpoint.is_finished(stage.folder):
            job = settled_job(job, stage.folder, stage.typed)
        return balance.stored(job, stage.folder)
    job = balance.stored(placed_as_begun(job, stage.folder), stage.folder)
    check_same_config(job, stage.folder)
    return job


def require_same_data(job: TrainJob, run_dir: Path) -> None:
    """Refuse a finished teacher of other pictures or labels than there are now.

    Raises:
        ConfigError: It is.
    """
    start_devices(job)
    manifest = data_of(job)
    if manifest.same_data(str(checkpoint.read_facts(run_dir)[1].data_fingerprint)):
        return
    fault = manifest.images.first_broken(range(len(manifest.ids)))
    if isinstance(fault, FaultyPictures) and fault.remember():  # left out then, perhaps elsewhere
        require_same_data(job, run_dir)
        return
    raise ConfigError(
        "teacher", f"{run_dir} was trained on other data than {manifest.root} is now",
        "Restore the data, give another run_dir, or remove that folder to train the teacher anew.",
    )  # fmt: skip


def begun(pieces: Pieces, folder: RunFolder) -> state.State | None:
    """The state that the training goes on from; None where it begins.

    Raises:
        FaultyPictures: The state was saved without these.
    """
    found = state.load(folder.path / "state")
    if not made_with_faulty(pieces.manifest, found):
        return found
    told = "state      was saved before faulty pictures were found; the training begins again"
    console.say(told, WARNING)
    if not pieces.job.settings.plan_only:
        folder.forget_state()
    return None
