"""`tl train`: data, model, teacher, plan, phases, result. A straight line."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.commands import gains, run_page
from tlcli.commands.own_folder import control_is_due, shared_folder
from tlcli.commands.settled import (
    begun,
    job_of,
    numbered,
    part_job,
    require_same_data,
    settled_job,
)
from tlcli.config import chain
from tlcli.config.checking import Checked
from tlcli.config.job import TrainJob
from tlcli.config.train_settings import Train
from tlcli.contracts.data import TEST
from tlcli.data.damage import FaultyPictures, persistent
from tlcli.distill.attach import attach
from tlcli.distill.fidelity import control_lines
from tlcli.errors import ConfigError
from tlcli.lazy import np
from tlcli.runs import best_of, checkpoint
from tlcli.runs.folder import RunFolder
from tlcli.runs.resume import (
    check_agreement,
    check_finished,
    check_same_config,
    check_state,
    check_teacher,
)
from tlcli.system import cluster, console
from tlcli.system.notes import WARNING
from tlcli.system.shown import typed
from tlcli.training import auto_backbone, balance, epoch_rows, log_events, plan_text, result_text
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of
from tlcli.training.data import data_of, without
from tlcli.training.plan import Plan
from tlcli.training.progress import Outcome
from tlcli.training.result import Result, written
from tlcli.training.together import together
from tlcli.training.trainer import Trainer

log = logging.getLogger(__name__)


def run(checked: Checked[Train, TrainJob]) -> int:
    """Train as configured; returns the exit code.

    Raises:
        TlError: A mistake of the caller, or a fault told in one line.
    """
    console.start_log(None, checked.job.settings.verbose)
    with shared_folder(checked.job) as folder:
        return _run(checked, folder)


def _run(checked: Checked[Train, TrainJob], folder: RunFolder) -> int:
    """Train in a folder that is this process's own."""
    run_dir = folder.path
    asked = auto_backbone.resolved(checked.job, checked.typed, run_dir)
    if checkpoint.is_finished(run_dir):
        if not (asked.settings.resume or asked.settings.run_dir):
            raise ConfigError("run_dir", f"{run_dir} holds a finished run", "Give another run_dir.")
        checkpoint.read_facts(run_dir)
        check_finished(numbered(asked, run_dir), run_dir, checked.typed)
        if not control_is_due(run_dir):
            see = f"tl eval checkpoint={typed(run_dir)}"
            console.say(f"{run_dir} is finished. Whether its data is still the same was not looked "
                        f"at; see that, and the run, with: {see}")  # fmt: skip
            return 0
    # Both may try steps, and so look at pictures.
    job = persistent(lambda: settled_job(numbered(asked, run_dir), run_dir, checked.typed), _warn)
    distilled = (
        checkpoint.read_metrics(run_dir)
        if checkpoint.is_finished(run_dir)
        else train_chain(job, folder)
    )
    if job.settings.control and not job.settings.plan_only:
        _train_control(job, folder, distilled)
    return 0


def _train_control(job: TrainJob, folder: RunFolder, distilled: Mapping[str, Any]) -> None:
    """Train the same student without its teacher, and show both figures."""
    inner = folder.inside("control")
    console.say("control    the same student without its teacher")
    found = train(part_job(chain.without_teacher(job.config, inner.path), folder.path), inner)
    for line in [*control_lines(distilled, found), *gains.lines(job, folder.path)]:
        console.say(line)


def train_chain(job: TrainJob, folder: RunFolder) -> dict[str, Any]:
    """Train what comes before the run, where it is not done, then the run; gives its metrics."""
    run_dir = folder.path
    earlier, own = chain.stages(job.config, run_dir)
    if not earlier:
        return train(job, folder)
    check_same_config(job, run_dir)
    names = ", ".join(stage.title for stage in earlier)
    ending = "the best of them is the run" if own is None else "then the run"
    control = ", then the same student without its teacher" if job.settings.control else ""
    console.say(f"chain      {names}; {ending}{control}")
    last = None if own is None else part_job(own, run_dir)
    if job.settings.plan_only:
        return plan_chain(earlier, last, folder)
    if folder.is_chief:
        # A run that stops before its own training is gone on with like any other.
        checkpoint.write_config(folder.made().path, job.config)
    for stage in earlier:
        train_stage(stage, folder.inside(stage.folder.name))
    if last is None:
        return ship_best(job, folder, [stage.folder for stage in earlier])
    console.say("chain      the run")
    return train(replace(last, config=job.config, reasons=job.reasons), folder)


def train_stage(stage: chain.Stage, folder: RunFolder) -> None:
    """Train what comes before the run, or find it done.

    Raises:
        ConfigError: Its folder holds a training of another configuration or other data.
    """
    job = job_of(stage)
    if not checkpoint.is_finished(stage.folder):
        console.say(f"chain      {stage.title}")
        train(job, folder)
    elif stage.typed is not None:
        check_teacher(job, stage.folder, stage.typed)
        require_same_data(job, stage.folder)
        console.say(f"chain      {stage.title}: {stage.folder} is finished, and as asked for")


def plan_chain(
    earlier: list[chain.Stage], own: TrainJob | None, folder: RunFolder
) -> dict[str, Any]:
    """Show the plan of each training that is not like the one before; gives nothing.

    Args:
        earlier: The trainings before the run's.
        own: The run's, or None where it is one of them.
        folder: The run's.
    """
    missing = {str(s.folder) for s in earlier if not checkpoint.is_finished(s.folder)}
    last = [] if own is None else [chain.Stage("the run", folder.path, dict(own.config))]
    before: Any = None
    for stage in [*earlier, *last]:
        alone = chain.without_teacher(stage.config, folder.path)
        if alone == before:
            continue
        before = alone
        untaught = stage.config["teacher"].get("path") in missing
        note = ", here without its teacher, which is not trained yet" if untaught else ""
        console.say(f"chain      {stage.title}{note}")
        if untaught:
            job = part_job(alone, folder.path)
        else:
            job = own if own is not None and stage not in earlier else job_of(stage)
        show_plan(planned(job), stage.folder)
    return {}


def ship_best(job: TrainJob, folder: RunFolder, folders: list[Path]) -> dict[str, Any]:
    """Let the best generation be the run; gives its metrics."""
    chosen = [one for one in folders if one.name.startswith("generation_")]
    if not folder.is_chief:
        return checkpoint.read_metrics(chosen[-1])
    folder.check()
    found = best_of.ship(folder.path, chosen, job.settings.monitor)
    folder.check()
    return found


def train(job: TrainJob, folder: RunFolder) -> dict[str, Any]:
    """Train and write the run; gives its metrics.

    Pictures that turn out not to decode, or to be damaged, are left out and named, and the
    training begins again as if they had been known.
    """
    found = persistent(lambda: trained(job, folder), _warn)
    folder.send()
    return found


def _warn(line: str) -> None:
    console.say(line, WARNING)


def trained(job: TrainJob, folder: RunFolder) -> dict[str, Any]:
    """One training, stopped by a picture that is faulty."""
    run_dir, member = folder.path, cluster.join(job.hardware)
    asked = balance.stored(job, run_dir)
    check_same_config(asked, run_dir)
    with together(member, lambda: data_of(asked)):
        plan = planned(asked)
        found = begun(plan.pieces, folder)
    job, pieces = plan.pieces.job, plan.pieces
    check_state(job, pieces.manifest, pieces.replicas, found, run_dir)
    if job.settings.plan_only:
        show_plan(plan, run_dir)
        return {}
    sheet = plan_text.sheet(plan, run_dir)
    check_agreement(member, job, pieces.manifest, found)
    folder.made().begin(job, pieces.manifest)
    name = "train.log" if member.is_chief else f"worker_{member.rank}.log"
    console.start_log(run_dir / name, job.settings.verbose)
    console.show(sheet)
    started = time.monotonic()
    try:
        with log_events.loggers_of(plan, folder, found) as loggers:
            outcome = Trainer(plan, run_dir, folder.check, loggers, folder.send).run(found)
            made = finish(plan, outcome, folder, time.monotonic() - started)
            log_events.tell_result(loggers, plan, outcome, run_dir, made)
        return made.figures
    except FaultyPictures:
        folder.begin_again(asked)
        member.any(False)  # Nobody reads the folder before it is written.
        raise
    finally:
        console.stop_log()


def planned(job: TrainJob) -> Plan:
    """One training before its first step."""
    pieces = pieces_of(job)
    with console.Stage("preparing what teaches"):
        lesson = attach(pieces)
    return plans.made(*balance.settled(pieces, lesson))


def show_plan(plan: Plan, run_dir: Path) -> None:
    """Say what would happen."""
    console.show(plan_text.sheet(plan, run_dir))
    for line in plan_text.drawn_schedule(plan):
        console.show(line)


def finish(plan: Plan, outcome: Outcome, folder: RunFolder, seconds: float) -> Result:
    """Write the result and show it; then the state has done its work."""
    member, manifest = cluster.join(plan.pieces.job.hardware), plan.pieces.manifest
    if member.size > 1:  # Alone, nothing is read before the test images are decoded.
        member.agree("data", manifest.content(np.flatnonzero(manifest.splits != TEST)))
    try:
        with together(member, lambda: manifest):
            found = written(plan, outcome, folder, seconds)
    except FaultyPictures as fault:  # of the test images, which are looked at only now
        fault.remember()
        for line in fault.lines():
            _warn(line)
        plan = replace(plan, pieces=without(plan.pieces, list(fault.found)))
        with together(member, lambda: manifest):
            found = written(plan, outcome, folder, seconds)
    if folder.is_chief:
        run_page.written(plan, found.model, folder)
    # A process that ends while another still works would be taken for lost.
    member.any(False)
    if folder.is_chief:
        if not plan.pieces.job.settings.keep_state:
            folder.forget_state()
        classes = plan.pieces.manifest.class_names
        for said in (
            *epoch_rows.curve(outcome.progress.rows, outcome.monitor),
            *result_text.closing_notes(found, classes, folder.path),
        ):
            console.show(said)
    return found
