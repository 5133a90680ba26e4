"""The folder of a training, which one process chooses and claims for all."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tlcli.config.job import TrainJob
from tlcli.runs import checkpoint
from tlcli.runs.claim import LOCK
from tlcli.runs.folder import RunFolder, chosen
from tlcli.runs.remote_copy import fetch
from tlcli.system import cluster, files
from tlcli.system.remote import is_address
from tlcli.system.remote_cache import current
from tlcli.system.remote_listing import listed
from tlcli.system.standing import stands


def copied(job: TrainJob, path: Path) -> None:
    """Fetch what a run at an address holds where its chief is another machine."""
    given = job.settings.resume or job.settings.run_dir
    if given is None or not is_address(given):
        return
    stands(path, given.rstrip("/"))
    if path.is_dir():
        return
    for one in listed(given) or ():
        if not one.address.endswith(f"/{LOCK}"):
            own = current().place(one.address).relative_to(current().place(given))
            files.make_folder((path / own).parent)
            fetch(one, path / own)


def control_is_due(run_dir: Path) -> bool:
    """Whether a finished run still lacks its control."""
    stored = checkpoint.read_config(run_dir)
    return bool(stored["control"]) and not checkpoint.is_finished(run_dir / "control")


@contextlib.contextmanager
def shared_folder(job: TrainJob) -> Iterator[RunFolder]:
    """The run's folder, which the chief chooses and claims for all; joins the other workers."""
    with contextlib.ExitStack() as stack:
        # The chief claims before it joins, so that nobody waits for one that is refused.
        folder = stack.enter_context(_chosen(job)) if job.hardware.leads else None
        member = cluster.join(job.hardware)
        if folder is None and member.is_chief:
            folder = stack.enter_context(_chosen(job))
        if member.size > 1:
            if folder is not None:
                folder.send()
            path = Path(member.from_chief(str(folder.path.absolute()) if folder else ""))
            if folder is None:
                copied(job, path)
            folder = folder or RunFolder(path, False, job.settings.retry_seconds)
            folder = replace(folder, path=path)
        assert folder is not None
        yield folder


@contextlib.contextmanager
def _chosen(job: TrainJob) -> Iterator[RunFolder]:
    """The run's folder, claimed unless its run is finished and nothing is left to write."""

    def finished(path: Path) -> bool:
        return checkpoint.is_finished(path) and not control_is_due(path)

    with chosen(job, finished) as folder:
        yield folder
