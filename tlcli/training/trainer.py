"""Phase after phase: the best weights, the state to resume from, signals that stop a training."""

import copy
import csv
import functools
import io
import math
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from tlcli.config.intervals import Every
from tlcli.errors import TlError
from tlcli.runs import checkpoint
from tlcli.runs import state as states
from tlcli.system import cluster, console, files
from tlcli.system.memory import OutOfMemory
from tlcli.system.surroundings import surroundings

Value = TypeVar("Value")
# SLURM announces the end of a job by SIGTERM, or by what --signal names: SIGUSR1 by custom.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


# A rate that must fall to a thousandth was not the trouble.
HALVINGS = 10
# A state is numbered by its phase and its step.
STATES_A_PHASE = 10**8


@dataclass(frozen=True)
class Snapshot:
    """A moment of a phase to go back to.

    Attributes:
        arrays: The phase's variables by name.
        swa: Equal averages so far.
        facts: Progress, plain values.
    """

    arrays: dict[str, Any]
    swa: list[Any]
    facts: dict[str, Any]


class Stopped(TlError):  # noqa: N818 - it is no error
    """A person or the system asked the training to stop; its state is saved.

    Attributes:
        exit_code: 130 after SIGINT; 76 after SIGTERM or SIGUSR1, for those who start it again.
    """

    def __init__(self, step: int, run_dir: Path, number: int) -> None:
        self.exit_code = 130 if number == signal.SIGINT else 76
        super().__init__(f"stopped at step {step}. Go on with: tl train resume={run_dir}")


class Trainer:
    """Runs the phases, keeps the best weights, saves the state."""

    def __init__(self, shared: Any, phases: Any, run_dir: Path) -> None:
        from tlcli.training.progress import Progress

        self.shared, self.phases, self.run_dir = shared, phases, run_dir
        self.progress = Progress()
        self.best: list[Any] = []
        self.best_peers: list[list[Any]] = []
        self.start_weights: list[Any] = []
        self.every = Every.parse(shared.job.settings.save_every, "save_every")
        self.saved_at, self.saved_steps = time.monotonic(), 0
        self.signal = 0
        self.trainer: Any = None
        self.state_bytes = 0
        self.config_hash = ""
        self.good: Snapshot | None = None
        self.member = cluster.join(shared.job.hardware)

    def run(self, state: states.State | None) -> None:
        """All phases, from the state or from the start.

        Raises:
            Stopped: SIGINT or SIGTERM came; the state is saved.
        """
        if state is not None:
            rest = (
                "an older one is used" if state.arrays else "there is no whole one: from the start"
            )
            for skipped in state.skipped:
                console.say(f"state {skipped} is damaged; {rest}")
            if state.arrays:
                self._restore_shared(state)
        previous = {s: signal.signal(s, self._on_signal) for s in STOPPING}
        try:
            self._phases(state if state and state.arrays else None)
        except OutOfMemory as error:
            raise OutOfMemory(f"{error} {self._kept()}") from error
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _kept(self) -> str:
        """What can be gone on with."""
        found = sorted((self.run_dir / "state").glob("*.json"))
        if not found:
            return "No state was saved."
        phase, step = divmod(int(found[-1].stem), STATES_A_PHASE)
        return (
            f"The last saved state, of step {step} of phase {phase + 1}, goes on with: tl train "
            f"resume={self.run_dir} (accumulation_steps and cache may be changed there)"
        )

    def _on_signal(self, number: int, _: Any) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        console.say("stopping after this step; once more to stop at once")

    def _phases(self, state: states.State | None) -> None:
        from tlcli.training.phase import PhaseTrainer

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
                self.good, self.progress.halvings = None, 0
                self.progress.step = self.progress.epoch = self.progress.waited = 0
                self.progress.plateau, self.progress.averaged = None, 0
                self.progress.sums = [0.0] * 5
            first += phase.epochs
        self._use_best()

    def _one_phase(self) -> None:
        """The rest of a phase, with a lower rate when it would not stay finite."""
        from tlcli.training.progress import NotFinite

        self._remember_good(only_first=True)
        while True:
            try:
                return self._epochs()
            except NotFinite as error:
                if self.good is None:
                    raise
                self._go_back(error)

    def _remember_good(self, only_first: bool = False) -> None:
        """Copy what a lower rate would start from: after a validation, or before the first step."""
        if self.shared.job.settings.on_nan != "reduce_lr" or (only_first and self.good):
            return
        arrays = {k: v.numpy() for k, v in self.trainer.state_variables().items()}
        self._check_weights(arrays)
        self.good = Snapshot(arrays, list(self.trainer.swa), copy.deepcopy(asdict(self.progress)))

    def _go_back(self, error: TlError) -> None:
        """Return to the last good moment of the phase and halve its rate.

        Raises:
            TlError: It was halved often enough.
        """
        assert self.good is not None
        halvings = self.progress.halvings + 1
        if halvings > HALVINGS:
            raise TlError(f"after {HALVINGS} halvings of the rate {error}") from error
        states.put(self.trainer.state_variables(), self.good.arrays, self.run_dir)
        self.trainer.swa = list(self.good.swa)
        for name, value in copy.deepcopy(self.good.facts).items():
            setattr(self.progress, name, value)
        self.progress.halvings = halvings
        self.trainer.set_rate(self.progress)
        what = str(error).partition(", images")[0].partition(". ")[0]
        console.say(f"{what}; back to step {self.progress.step}, rate times {0.5**halvings:g}")

    def _epochs(self) -> None:
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
                self._remember_good()
                limit = self.shared.job.settings.early_stopping
                if limit is not None and progress.waited >= limit:
                    console.say(f"no better for {limit} validations; phase {row['phase'] + 1} ends")
                    return
                self.bar = console.Bar(trainer.total_steps)
        finally:
            self.bar.close()

    def _judge(self, epoch: Any) -> dict[str, Any]:
        """Keep the weights if the epoch is the best so far; gives its row."""
        from tlcli.evaluation.monitor import better

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
        self._judge_peers()
        trainer.plateau(progress, figures)
        row = asdict(replace(epoch, best=improved))
        progress.rows.append(row)
        return row

    def _judge_peers(self) -> None:
        """Keep the weights of each peer that is at its best so far."""
        from tlcli.evaluation.monitor import better

        progress, peers = self.progress, self.trainer.peers
        progress.peers = progress.peers or [None] * len(peers)
        self.best_peers = self.best_peers or [[] for _ in peers]
        for index, figure in enumerate(self.trainer.validate_peers()):
            if figure is None or better(self.trainer.monitor, figure, progress.peers[index]):
                progress.peers[index] = figure
                self.best_peers[index] = [v.numpy() for v in peers[index].model.variables]

    def _between(self, step: int) -> None:
        self.bar.move(step)
        if self.member.any(bool(self.signal)):
            self.save()
            # No worker may end before the state is whole, or the chief would take it for lost.
            self.member.any(False)
            raise Stopped(step, self.run_dir, self.signal or signal.SIGTERM)
        every = self.every
        due = False
        if every.seconds is not None:
            # What is saved is looked at first, and may send a training back: on all workers alike.
            due = self.member.any(time.monotonic() - self.saved_at >= every.seconds)
        per_epoch = self.trainer.order.steps_per_epoch
        distance = every.steps or (every.epochs and every.epochs * per_epoch)
        due = due or bool(distance and step - self.saved_steps >= distance)
        if due:
            self.save()

    def save(self) -> None:
        """Write the state, on the chief; a full disk is waited for.

        Raises:
            WriteError: It stayed full for `save_retry`.
        """
        arrays = {k: v.numpy() for k, v in self.trainer.state_variables().items()}
        arrays |= {f"best/{i}": a for i, a in enumerate(self.best)}
        for number, best in enumerate(self.best_peers):
            arrays |= {f"peer_{number}/{i}": a for i, a in enumerate(best)}
        arrays |= {f"start/{i}": a for i, a in enumerate(self.start_weights)}
        arrays |= {f"swa/{i}": a for i, a in enumerate(self.trainer.swa)}
        self._check_weights(arrays)
        facts = {
            **asdict(self.progress), "fingerprint": self.shared.manifest.fingerprint,
            "config_hash": self.config_hash, "surroundings": self._surroundings,
        }  # fmt: skip
        if self.good is not None:
            arrays |= {f"good/{k}": a for k, a in self.good.arrays.items()}
            arrays |= {f"good_swa/{i}": a for i, a in enumerate(self.good.swa)}
            facts["good"] = self.good.facts
        total = self.progress.phase * STATES_A_PHASE + self.progress.step
        if self.member.is_chief:
            self.state_bytes = self.patiently(
                lambda: states.save(self.run_dir / "state", total, arrays, facts)
            )
        self.saved_at, self.saved_steps = time.monotonic(), self.progress.step

    def _check_weights(self, arrays: Mapping[str, Any]) -> None:
        """Keep weights that the last step spoilt out of the states.

        Raises:
            NotFinite: Some are not finite.
        """
        import numpy as np

        from tlcli.training.progress import NOT_FINITE, NotFinite

        floats = (a for k, a in arrays.items() if k.startswith("model/") and a.dtype.kind == "f")
        if not all(np.isfinite(a).all() for a in floats):
            raise NotFinite(
                f"the weights are not finite after step {self.progress.step} of phase "
                f"{self.progress.phase + 1}. {NOT_FINITE}"
            )

    @functools.cached_property
    def _surroundings(self) -> dict[str, Any]:
        return surroundings(self.shared.strategy.num_replicas_in_sync)

    def patiently(self, action: Callable[[], Value]) -> Value:
        """Do what writes; while the disk is full, wait and try again for `save_retry`."""
        return files.patiently(
            action, self.shared.job.settings.retry_seconds, lambda: bool(self.signal)
        )

    def _restore_shared(self, state: states.State) -> None:
        from tlcli.training.progress import Progress

        names = {field.name for field in fields(Progress)}
        self.progress = Progress(**{k: v for k, v in state.facts.items() if k in names})
        model = {f"model/{i}": v for i, v in enumerate(self.shared.student.model.variables)}
        states.put(model, state.arrays, self.run_dir / "state")
        self.best = _numbered(state.arrays, "best")
        self.start_weights = _numbered(state.arrays, "start")
        peers = range(len(self.progress.peers))
        self.best_peers = [_numbered(state.arrays, f"peer_{number}") for number in peers]
        console.say(f"going on at phase {self.progress.phase + 1}, step {self.progress.step}")

    def _restore_phase(self, state: states.State) -> None:
        trainer = self.trainer
        states.put(trainer.state_variables(), state.arrays, self.run_dir / "state")
        trainer.swa = _numbered(state.arrays, "swa")
        trainer.set_rate(self.progress)
        if "good" in state.facts:
            arrays = {k[5:]: a for k, a in state.arrays.items() if k.startswith("good/")}
            swa = _numbered(state.arrays, "good_swa")
            self.good = Snapshot(arrays, swa, state.facts["good"])

    def _write_rows(self) -> None:
        if not self.member.is_chief:
            return
        text = io.StringIO()
        names = sorted({n for row in self.progress.rows for n in row["validation"]})
        columns = ["phase", "epoch", "step", "loss", "train_accuracy", "learning_rate"]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*columns, *(f"validation_{n}" for n in names), "best"])
        for row in self.progress.rows:
            figures = [row["validation"].get(n, "") for n in names]
            writer.writerow([*(row[f] for f in columns), *figures, int(row["best"])])
        path = self.run_dir / "metrics.csv"
        self.patiently(lambda: files.write_text(path, text.getvalue()))

    def _use_best(self) -> None:
        if not self.best:
            raise TlError("no epoch had a finite validation loss. Lower optimizer.learning_rate.")
        for variable, value in zip(self.shared.student.model.variables, self.best, strict=True):
            variable.assign(value)


def _numbered(arrays: Mapping[str, Any], group: str) -> list[Any]:
    found = {int(k.split("/")[1]): v for k, v in arrays.items() if k.startswith(f"{group}/")}
    return [found[i] for i in sorted(found)]
