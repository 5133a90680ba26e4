"""`tl train`: data, model, teacher, plan, phases, result. A straight line."""

import csv
import io
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tlcli import chain, checkpoint, cluster, console, files, generations, state
from tlcli.errors import ConfigError, TlError
from tlcli.recipe import value_at, written
from tlcli.settings import TrainJob, train_job
from tlcli.trainer import Trainer

log = logging.getLogger(__name__)

# Keys that may differ between a state and the training that goes on from it.
FREE_KEYS = (
    "resume", "run_dir", "name", "save_every", "save_retry", "keep_state", "strict_resume",
    "on_nan", "workers", "cache", "cache_dir", "cache_memory", "plan_only", "calibrate",
    "abstain_below", "control", "hardware", "accumulation_steps",
)  # fmt: skip
# Within these, what decides the weights all the same.
KEPT_KEYS = ("hardware.batch_norm",)
RECIPE_HEAD = "# Chosen by config=auto; edit it and train by it: tl train config=THIS_FILE\n"
# Of these, what a stored run keeps whatever is typed.
OWN_KEYS = ("run_dir", "name", "control")


def run(config: Mapping[str, Any]) -> int:
    """Train as configured; returns the exit code.

    Raises:
        TlError: A mistake of the caller, or a fault told in one line.
    """
    console.start_log(None)
    job = train_job(config)
    typed = tuple(getattr(config, "typed", ()))
    run_dir = shared_run_dir(job)
    if checkpoint.is_finished(run_dir) and not _control_is_due(job, run_dir):
        if job.settings.resume or job.settings.run_dir:
            console.say(f"{run_dir} is finished. See it with: tl eval checkpoint={run_dir}")
            return 0
        raise ConfigError("run_dir", f"{run_dir} holds a finished run", "Give another run_dir.")
    job = settled_job(numbered(job, run_dir), run_dir, typed)
    distilled = (
        checkpoint.read_json(run_dir / "metrics.json")
        if checkpoint.is_finished(run_dir)
        else train_chain(job, run_dir)
    )
    if job.settings.control and not job.settings.plan_only:
        _train_control(job, run_dir, distilled)
    return 0


def numbered(job: TrainJob, run_dir: Path) -> TrainJob:
    """The job with its batch size as a number: a begun run's own, or the largest that fits."""
    from tlcli import batch_size

    return batch_size.resolved(job, run_dir)


def _control_is_due(job: TrainJob, run_dir: Path) -> bool:
    """Whether a finished run still lacks its control."""
    again = bool(job.settings.resume or job.settings.run_dir)
    stored = checkpoint.read_json(run_dir / "config.json")
    return again and bool(stored["control"]) and not checkpoint.is_finished(run_dir / "control")


def _train_control(job: TrainJob, run_dir: Path, distilled: Mapping[str, Any]) -> None:
    """Train the same student without its teacher, and show both figures."""
    from tlcli import teach

    folder = run_dir / "control"
    console.say("control    the same student without its teacher")
    found = train(train_job(chain.without_teacher(job.config, folder)), folder)
    for line in teach.control_lines(distilled, found):
        console.say(line)


def shared_run_dir(job: TrainJob) -> Path:
    """The run's folder, which the chief chooses for all; joins the other workers."""
    rank = getattr(job.hardware, "rank", None)
    found = find_run_dir(job) if rank == 0 else None
    member = cluster.join(job.hardware)
    if member.size == 1:
        return found or find_run_dir(job)
    if member.is_chief and found is None:
        found = find_run_dir(job)
    return Path(member.from_chief(str(found.absolute()) if found else ""))


def find_run_dir(job: TrainJob) -> Path:
    """The run's folder; it is not made yet.

    Raises:
        ConfigError: The folder to go on with is none, or holds something else.
    """
    settings = job.settings
    if settings.resume:
        path = Path(settings.resume).expanduser()
        if not (path / "config.json").is_file():
            raise ConfigError("resume", f"{path} is no run folder", "Give a folder of tl train.")
        own = settings.run_dir and Path(settings.run_dir).expanduser().resolve() == path.resolve()
        if settings.run_dir and not own:
            raise ConfigError("run_dir", "resume goes on in its own folder", "Leave run_dir out.")
        return path
    if settings.run_dir is None:
        stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        base = Path("runs") / (settings.name or "train")
        path, number = base / stamp, 1
        while path.exists():
            number += 1
            path = base / f"{stamp}-{number}"
        return path
    path = Path(settings.run_dir).expanduser()
    ours = (path / "config.json").is_file()
    if path.is_dir() and any(path.iterdir()) and not ours:
        raise ConfigError("run_dir", f"{path} holds other files", "Give an empty or a new folder.")
    return path


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
        from tlcli import auto

        return auto.resolved(job, typed)
    return job


def resumed_job(job: TrainJob, run_dir: Path, typed: Iterable[str]) -> TrainJob:
    """The job that a run was started with, with the free keys that were typed.

    Args:
        job: As composed from the new command line.
        run_dir: The run to go on with.
        typed: Dotted keys and groups that the command line or its recipe gives.

    Raises:
        ConfigError: A typed key that is not free differs from the run's.
    """
    stored = checkpoint.read_json(run_dir / "config.json")
    now = json.loads(json.dumps(dict(job.config)))
    free = {k.split(".")[0] for k in typed} & set(FREE_KEYS) - set(OWN_KEYS)
    differ = []
    for key in sorted({*typed}):
        if not is_free(key):
            differ += differences(value_at(stored, key), value_at(now, key), key)
    if differ:
        told = "; ".join(dict.fromkeys(f"{k} was {a!r} and is {b!r}" for k, a, b in differ))
        raise ConfigError(
            "resume", f"{run_dir} was started with another configuration: {told}",
            f"Leave that out, or train anew; free are {', '.join(_free_to_type())}.",
        )  # fmt: skip
    merged = {**now, **stored, **{k: now[k] for k in free}, "resume": now["resume"]}
    for key in KEPT_KEYS:
        group, name = key.split(".")
        if name in merged[group] and name in stored[group]:
            merged[group] = {**merged[group], name: stored[group][name]}
    return train_job(merged)


def is_free(key: str) -> bool:
    """Whether a dotted key may differ between a state and the training that goes on from it."""
    return key.split(".")[0] in FREE_KEYS and key not in KEPT_KEYS


def _free_to_type() -> list[str]:
    return [k for k in FREE_KEYS if k not in (*OWN_KEYS, "resume")]


def check_same_config(job: TrainJob, run_dir: Path) -> None:
    """Refuse to go on with another configuration.

    Raises:
        ConfigError: Keys that differ, each with its values.
    """
    path = run_dir / "config.json"
    if not path.is_file():
        return
    stored = checkpoint.read_json(path)
    now = json.loads(json.dumps(dict(job.config)))
    differ = [f"{k} was {a!r} and is {b!r}" for k, a, b in differences(stored, now)
              if not is_free(k)]  # fmt: skip
    if differ:
        raise ConfigError(
            "run_dir", f"{run_dir} was started with another configuration: {'; '.join(differ[:5])}",
            "Give another run_dir, or the same configuration.",
        )  # fmt: skip


def differences(old: Any, new: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys with different values in two configurations."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in sorted({*old, *new}):
            place = f"{where}.{key}" if where else str(key)
            found += differences(old.get(key), new.get(key), place)
        return found
    return [] if old == new else [(where, old, new)]


def train_chain(job: TrainJob, run_dir: Path) -> dict[str, Any]:
    """Train what comes before the run, where it is not done, then the run; gives its metrics."""
    earlier, own = chain.stages(job.config, run_dir)
    if not earlier:
        return train(job, run_dir)
    check_same_config(job, run_dir)
    names = ", ".join(stage.title for stage in earlier)
    last = "the best of them is the run" if own is None else "then the run"
    console.say(f"chain      {names}; {last}")
    if not job.settings.plan_only:
        make_run_dir(run_dir)
        # A run that stops before its own training is gone on with like any other.
        if cluster.join(job.hardware).is_chief:
            files.write_json(run_dir / "config.json", dict(job.config))
    for stage in earlier:
        part = train_job(stage.config)
        check_same_config(part, stage.folder)
        if not checkpoint.is_finished(stage.folder):
            console.say(f"chain      {stage.title}")
            train(part, stage.folder)
        if job.settings.plan_only:
            return {}
    if own is None:
        return ship_best(job, run_dir, [stage.folder for stage in earlier])
    console.say("chain      the run")
    return train(replace(train_job(own), config=job.config, reasons=job.reasons), run_dir)


def ship_best(job: TrainJob, run_dir: Path, folders: list[Path]) -> dict[str, Any]:
    """Let the best generation be the run; gives its metrics."""
    chosen = [folder for folder in folders if folder.name.startswith("generation_")]
    if not cluster.join(job.hardware).is_chief:
        return checkpoint.read_json(chosen[-1] / "metrics.json")
    return generations.ship(run_dir, chosen, job.settings.monitor)


def train(job: TrainJob, run_dir: Path) -> dict[str, Any]:
    """Train and write the run; gives its metrics."""
    from tlcli import setup

    check_same_config(job, run_dir)
    shared = setup.prepare(job)
    phases = setup.phases(shared)
    found = state.load(run_dir / "state")
    check_state(job, shared, found, run_dir)
    for line in setup.plan(shared, phases, run_dir):
        console.say(line)
    if job.settings.plan_only:
        console.say(setup.draw_schedule(shared, phases))
        return {}
    make_run_dir(run_dir)
    member = cluster.join(job.hardware)
    check_agreement(member, job, shared, found)
    if member.is_chief:
        files.remove_torn(run_dir)
        files.write_json(run_dir / "config.json", dict(job.config))
        if job.reasons:
            files.write_text(run_dir / "auto.yaml", RECIPE_HEAD + written(job.config, job.reasons))
        _write_split(shared.manifest, run_dir)
    console.start_log(run_dir / ("train.log" if member.is_chief else f"worker_{member.rank}.log"))
    started = time.monotonic()
    trainer = Trainer(shared, phases, run_dir)
    trainer.config_hash = state.config_hash(job.config, FREE_KEYS)
    try:
        trainer.run(found)
        return finish(trainer, time.monotonic() - started)
    finally:
        console.stop_log()


def check_agreement(
    member: cluster.Alone, job: TrainJob, shared: Any, found: state.State | None
) -> None:
    """Refuse workers that would not train the same.

    Raises:
        ConfigError: Configuration, data or the saved state differ.
    """
    whole = found is not None and bool(found.arrays)
    step = (found.facts["phase"], found.facts["step"]) if found and whole else None
    member.agree("configuration", state.config_hash(job.config, FREE_KEYS)[:16])
    member.agree("data", str(shared.manifest.fingerprint)[:64])
    member.agree("state", str(step))


def check_state(job: TrainJob, shared: Any, found: state.State | None, run_dir: Path) -> None:
    """Refuse a state that the rest of the training would not be the same after.

    Raises:
        TlError: Other data, another configuration, or (unless strict_resume=false) other versions,
            threads or devices.
    """
    if found is None or not found.arrays:
        return
    facts = found.facts
    if facts["fingerprint"] != shared.manifest.fingerprint:
        raise TlError(
            f"{run_dir}: the data changed since the state was saved. Train anew in another run_dir."
        )
    if facts["config_hash"] != state.config_hash(job.config, FREE_KEYS):
        raise TlError(
            f"{run_dir / 'config.json'}: was changed since the state was saved. Restore it, or "
            "train anew in another run_dir."
        )
    now = state.surroundings(shared.strategy.num_replicas_in_sync)
    decisive, loose = state.changes(facts["surroundings"], now)
    if decisive and job.settings.strict_resume:
        raise TlError(
            f"{run_dir}: the state was saved elsewhere: {'; '.join(decisive)}. The weights would "
            "not be those of the unbroken run. Go on where it was saved, or with "
            "strict_resume=false."
        )
    for change in [*decisive, *loose]:
        console.say(f"since the state was saved, {change}")


def make_run_dir(run_dir: Path) -> None:
    """Make the run's folder.

    Raises:
        TlError: It cannot be made, or nothing can be written in it.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # The flags of a folder do not tell of a disk that is mounted read-only.
        with tempfile.TemporaryFile(dir=run_dir):
            pass
    except OSError as error:
        kept = " What is in it is whole." if (run_dir / "config.json").is_file() else ""
        raise TlError(
            f"run_dir: {run_dir} cannot be made or written ({error.strerror}).{kept} "
            "Give another run_dir."
        ) from None


def _write_split(manifest: Any, run_dir: Path) -> None:
    from tlcli.data import SPLIT_NAMES

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "class", "split"])
    splits = np.array(SPLIT_NAMES, object)[manifest.splits]
    writer.writerows(zip(manifest.ids, class_texts(manifest), splits, strict=True))
    files.write_text(run_dir / "split.csv", text.getvalue())


def class_texts(manifest: Any) -> Iterable[str]:
    """Class of each sample in words; several are separated by |."""
    names = np.array([*manifest.class_names, ""], object)
    if manifest.multi_label:
        return ("|".join(names[:-1][label > 0]) for label in manifest.labels)
    return (
        str(name) for name in names[manifest.labels]
    )  # -1, of a sample without a label, is the last


def finish(trainer: Trainer, seconds: float) -> dict[str, Any]:
    """Choose, calibrate, measure and write the result; then the state has done its work."""
    from tlcli import result

    member = cluster.join(trainer.shared.job.hardware)
    metrics = result.write(trainer, seconds)
    # A process that ends while another still works would be taken for lost.
    member.any(False)
    if not member.is_chief:
        return metrics
    if not trainer.shared.job.settings.keep_state:
        shutil.rmtree(trainer.run_dir / "state", ignore_errors=True)
    for line in result.closing_lines(trainer, metrics):
        console.say(line)
    return metrics
