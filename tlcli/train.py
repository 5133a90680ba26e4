"""`tl train`: data, model, teacher, plan, phases, result. A straight line."""

import csv
import io
import json
import logging
import math
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tlcli import chain, checkpoint, console, files
from tlcli.errors import ConfigError, TlError
from tlcli.settings import Every, TrainJob, train_job

log = logging.getLogger(__name__)

# Keys that may differ between a state and the training that goes on from it.
FREE_KEYS = (
    "resume", "run_dir", "save_every", "workers", "cache", "cache_dir", "cache_memory",
    "plan_only", "name", "calibrate", "abstain_below", "control",
)  # fmt: skip


class Stopped(TlError):  # noqa: N818 - it is no error
    """A person or the system asked the training to stop; its state is saved."""

    exit_code = 130


def run(config: Mapping[str, Any]) -> int:
    """Train as configured; returns the exit code.

    Raises:
        TlError: A mistake of the caller, or a fault told in one line.
    """
    console.start_log(None)
    job = train_job(config)
    run_dir = find_run_dir(job)
    if checkpoint.is_finished(run_dir) and not _control_is_due(job, run_dir):
        if job.settings.resume or job.settings.run_dir:
            console.say(f"{run_dir} is finished. See it with: tl eval checkpoint={run_dir}")
            return 0
        raise ConfigError("run_dir", f"{run_dir} holds a finished run", "Give another run_dir.")
    if job.settings.resume:
        job = _resumed_job(job, run_dir)
    distilled = (
        checkpoint.read_json(run_dir / "metrics.json")
        if checkpoint.is_finished(run_dir)
        else train_chain(job, run_dir)
    )
    if job.settings.control and not job.settings.plan_only:
        _train_control(job, run_dir, distilled)
    return 0


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


def _resumed_job(job: TrainJob, run_dir: Path) -> TrainJob:
    """The job that a run was started with, with what may be changed taken from the new one."""
    stored = checkpoint.read_json(run_dir / "config.json")
    changed = {k: job.config[k] for k in FREE_KEYS if k in job.config and k not in (
        "run_dir", "name", "control")}  # fmt: skip
    return train_job({**stored, **changed})


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
              if k.split(".")[0] not in FREE_KEYS]  # fmt: skip
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
    console.say(f"chain      {names}, then the run")
    if not job.settings.plan_only:
        make_run_dir(run_dir)
        # A run that stops before its own training is gone on with like any other.
        files.write_json(run_dir / "config.json", dict(job.config))
    for stage in earlier:
        part = train_job(stage.config)
        check_same_config(part, stage.folder)
        if not checkpoint.is_finished(stage.folder):
            console.say(f"chain      {stage.title}")
            train(part, stage.folder)
        if job.settings.plan_only:
            return {}
    console.say("chain      the run")
    return train(replace(train_job(own), config=job.config), run_dir)


def train(job: TrainJob, run_dir: Path) -> dict[str, Any]:
    """Train and write the run; gives its metrics."""
    from tlcli import setup

    check_same_config(job, run_dir)
    shared = setup.prepare(job)
    phases = setup.phases(shared)
    state = checkpoint.load_state(run_dir / "state")
    for line in setup.plan(shared, phases, run_dir):
        console.say(line)
    if job.settings.plan_only:
        console.say(setup.draw_schedule(shared, phases))
        return {}
    make_run_dir(run_dir)
    files.write_json(run_dir / "config.json", dict(job.config))
    _write_split(shared.manifest, run_dir)
    console.start_log(run_dir / "train.log")
    started = time.monotonic()
    trainer = Trainer(shared, phases, run_dir)
    try:
        trainer.run(state)
        return finish(trainer, time.monotonic() - started)
    finally:
        console.stop_log()


def make_run_dir(run_dir: Path) -> None:
    """Make the run's folder.

    Raises:
        TlError: It cannot be made.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(run_dir, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise TlError(f"run_dir: {run_dir} cannot be made ({error.strerror}).") from None


def _write_split(manifest: Any, run_dir: Path) -> None:
    from tlcli.data import SPLIT_NAMES

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "class", "split"])
    for row in range(len(manifest.ids)):
        writer.writerow([manifest.ids[row], class_text(manifest, row),
                         SPLIT_NAMES[manifest.splits[row]]])  # fmt: skip
    files.write_text(run_dir / "split.csv", text.getvalue())


def class_text(manifest: Any, row: int) -> str:
    """Class of a sample in words; several are separated by |."""
    label = manifest.labels[row]
    if manifest.multi_label:
        return "|".join(n for n, on in zip(manifest.class_names, label, strict=True) if on)
    return manifest.class_names[label] if label >= 0 else ""


class Trainer:
    """Runs the phases, keeps the best weights, saves the state."""

    def __init__(self, shared: Any, phases: Any, run_dir: Path) -> None:
        from tlcli.phase import Progress

        self.shared, self.phases, self.run_dir = shared, phases, run_dir
        self.progress = Progress()
        self.best: list[Any] = []
        self.start_weights: list[Any] = []
        self.every = Every.parse(shared.job.settings.save_every, "save_every")
        self.saved_at, self.saved_steps = time.monotonic(), 0
        self.signal = 0
        self.trainer: Any = None
        self.state_bytes = 0

    def run(self, state: checkpoint.State | None) -> None:
        """All phases, from the state or from the start.

        Raises:
            Stopped: SIGINT or SIGTERM came; the state is saved.
        """
        if state is not None:
            for skipped in state.skipped:
                console.say(f"state {skipped} is damaged; an older one is used")
            if state.arrays:
                self._restore_shared(state)
        previous = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._phases(state if state and state.arrays else None)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: Any) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        console.say("stopping after this step; once more to stop at once")

    def _phases(self, state: checkpoint.State | None) -> None:
        from tlcli.phase import PhaseTrainer

        console.say(console.HEADER)
        first = 0.0
        for index, phase in enumerate(self.phases):
            if index >= self.progress.phase:
                self.progress.phase = index
                if index == len(self.phases) - 1 and not self.start_weights:
                    self.start_weights = [v.numpy() for v in self.shared.student.model.variables]
                self.trainer = PhaseTrainer(self.shared, phase, index, math.ceil(first))
                if state is not None:
                    self._restore_phase(state)
                    state = None
                self._one_phase()
                self.progress.step = self.progress.epoch = self.progress.waited = 0
                self.progress.plateau, self.progress.averaged = None, 0
                self.progress.sums = [0.0] * 4
            first += phase.epochs
        self._use_best()

    def _one_phase(self) -> None:
        trainer, progress = self.trainer, self.progress
        self.saved_steps = progress.step
        if self.every.steps:
            trainer.steps_per_call = min(trainer.steps_per_call, self.every.steps)
        self.bar = console.Bar(trainer.total_steps)
        done = time.monotonic()
        try:
            for epoch in trainer.epochs(progress, self._between):
                row = self._judge(epoch)
                self.bar.close()
                passed = time.monotonic() - done
                rest = trainer.phase.epochs - progress.epoch
                console.say(console.epoch_row(row, max(0.0, passed * rest)))
                done = time.monotonic()
                self._write_rows()
                limit = self.shared.job.settings.early_stopping
                if limit is not None and progress.waited >= limit:
                    console.say(f"no better for {limit} validations; phase {row['phase'] + 1} ends")
                    return
                self.bar = console.Bar(trainer.total_steps)
        finally:
            self.bar.close()

    def _judge(self, epoch: Any) -> dict[str, Any]:
        """Keep the weights if the epoch is the best so far; gives its row."""
        from tlcli.metrics import better

        progress, trainer = self.progress, self.trainer
        figures, metric = epoch.validation, trainer.monitor
        sound = bool(figures) and checkpoint.finite(figures["loss"])
        improved = sound and better(metric, figures[metric], progress.best)
        if improved:
            progress.best = figures[metric]
            progress.best_epoch = [epoch.phase, epoch.epoch]
            progress.waited = 0
        else:
            progress.waited += 1
        if improved or not figures:
            with trainer.evaluation_weights():
                self.best = [v.numpy() for v in self.shared.student.model.variables]
        trainer.plateau(progress, figures)
        row = asdict(replace(epoch, best=improved))
        progress.rows.append(row)
        return row

    def _between(self, step: int) -> None:
        self.bar.move(step)
        if self.signal:
            self.save()
            again = f"tl train resume={self.run_dir}"
            raise Stopped(f"stopped at step {step}. Go on with: {again}")
        every = self.every
        due = every.seconds is not None and time.monotonic() - self.saved_at >= every.seconds
        per_epoch = self.trainer.order.steps_per_epoch
        distance = every.steps or (every.epochs and every.epochs * per_epoch)
        due = due or bool(distance and step - self.saved_steps >= distance)
        if due:
            self.save()

    def save(self) -> None:
        """Write the state."""
        arrays = {k: v.numpy() for k, v in self.trainer.state_variables().items()}
        arrays |= {f"best/{i}": a for i, a in enumerate(self.best)}
        arrays |= {f"start/{i}": a for i, a in enumerate(self.start_weights)}
        arrays |= {f"swa/{i}": a for i, a in enumerate(self.trainer.swa)}
        facts = {**asdict(self.progress), "fingerprint": self.shared.manifest.fingerprint}
        total = self.progress.phase * 10**8 + self.progress.step
        self.state_bytes = checkpoint.save_state(self.run_dir / "state", total, arrays, facts)
        self.saved_at, self.saved_steps = time.monotonic(), self.progress.step

    def _restore_shared(self, state: checkpoint.State) -> None:
        from tlcli.phase import Progress

        facts = dict(state.facts)
        if facts.pop("fingerprint") != self.shared.manifest.fingerprint:
            raise TlError(
                f"{self.run_dir}: the data changed since the state was saved. Train anew in "
                "another run_dir."
            )
        self.progress = Progress(**facts)
        model = {f"model/{i}": v for i, v in enumerate(self.shared.student.model.variables)}
        checkpoint.put(model, state.arrays, self.run_dir / "state")
        self.best = _numbered(state.arrays, "best")
        self.start_weights = _numbered(state.arrays, "start")
        console.say(f"going on at phase {self.progress.phase + 1}, step {self.progress.step}")

    def _restore_phase(self, state: checkpoint.State) -> None:
        trainer = self.trainer
        checkpoint.put(trainer.state_variables(), state.arrays, self.run_dir / "state")
        trainer.swa = _numbered(state.arrays, "swa")
        if self.progress.plateau is not None:
            import numpy as np

            trainer.plateau_factor.assign(np.float32(self.progress.plateau["factor"]))

    def _write_rows(self) -> None:
        text = io.StringIO()
        names = sorted({n for row in self.progress.rows for n in row["validation"]})
        fields = ["phase", "epoch", "step", "loss", "train_accuracy", "learning_rate"]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*fields, *(f"validation_{n}" for n in names), "best"])
        for row in self.progress.rows:
            figures = [row["validation"].get(n, "") for n in names]
            writer.writerow([*(row[f] for f in fields), *figures, int(row["best"])])
        files.write_text(self.run_dir / "metrics.csv", text.getvalue())

    def _use_best(self) -> None:
        if not self.best:
            raise TlError("no epoch had a finite validation loss. Lower optimizer.learning_rate.")
        for variable, value in zip(self.shared.student.model.variables, self.best, strict=True):
            variable.assign(value)


def _numbered(arrays: Mapping[str, Any], group: str) -> list[Any]:
    found = {int(k.split("/")[1]): v for k, v in arrays.items() if k.startswith(f"{group}/")}
    return [found[i] for i in sorted(found)]


def finish(trainer: Trainer, seconds: float) -> dict[str, Any]:
    """Choose, calibrate, measure and write the result."""
    from tlcli import result

    metrics = result.write(trainer, seconds)
    for line in result.closing_lines(trainer, metrics):
        console.say(line)
    return metrics
