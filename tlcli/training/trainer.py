"""Runs the phases of a plan: epochs, the best weights, saved states, a stop, a way back from NaN.

Only the trainer writes progress; phases run steps and say what came of them.
"""

import math
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from tlcli.errors import TlError
from tlcli.evaluation.monitor import better
from tlcli.runs import state as states
from tlcli.system import cluster, complaints, console, files, memory
from tlcli.training import epoch_rows, log_events, second_look
from tlcli.training.fallback import Snapshot, check_losses, check_weights, next_halving
from tlcli.training.kept import KeptWeights, numbered, values_of
from tlcli.training.loggers import SILENT, Loggers
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import Plan
from tlcli.training.progress import NOT_FINITE, Epoch, NotFinite, Outcome, Progress
from tlcli.training.saver import Saver
from tlcli.training.stopping import Stopped, StopRequest


class Trainer:
    """Trains as planned.

    Args:
        plan: What to train.
        run_dir: Where states and metrics.csv go.
        check: Raises before a write where the folder is no longer the run's own.
        saved: Called when a state is whole.
        loggers: Hear of steps and epochs.

    Attributes:
        progress: Where it stands.
        kept: The best weights so far.
        phase: The phase that is trained.
    """

    phase: PhaseTraining

    def __init__(
        self, plan: Plan, run_dir: Path, check: Callable[[], None] = files.nothing,
        loggers: Loggers = SILENT, saved: Callable[[], None] = files.nothing,
    ) -> None:  # fmt: skip
        self.plan, self.run_dir, self.loggers = plan, run_dir, loggers
        self.settings = plan.pieces.job.settings
        self.student = plan.lesson.student.model
        self.member = cluster.join(plan.pieces.job.hardware)
        self.progress, self.kept = Progress(), KeptWeights()
        self.stop = StopRequest()
        self.saver = Saver(plan.pieces, run_dir, self.stop, check, saved)
        self.good: Snapshot | None = None

    def run(self, state: states.State | None) -> Outcome:
        """All phases, from the state or from the start.

        Raises:
            Stopped: SIGINT or SIGTERM came; the state is saved.
        """
        whole = state is not None and bool(state.arrays)
        if state is not None:
            rest = "an older one is used" if whole else "there is no whole one: from the start"
            for skipped in state.skipped:
                console.say(f"state {skipped} is damaged; {rest}")
            if whole:
                self._restore(state)
        try:
            with self.stop, complaints.listening():
                self._phases(state if whole else None)
        except memory.OutOfMemory as error:
            raise memory.OutOfMemory(f"{error} {self.saver.told(self.run_dir)}") from error
        return Outcome(self.kept, self.progress, self.phase.monitor)

    # ---- phases and epochs --------------------------------------------------------------------

    def _phases(self, state: states.State | None) -> None:
        console.show(epoch_rows.heading())
        for index, planned in enumerate(self.plan.phases):
            if index < self.progress.phase:
                continue
            self.progress.phase = index
            if planned is self.plan.phases[-1] and not self.kept.start:
                self.kept.start = values_of(self.student.variables)
            memory.let_go(self, "phase")  # its tables, before the next ones are made
            self.phase = PhaseTraining(self.plan.pieces, self.plan.lesson, planned)
            if state is not None:
                self._restore_phase(state)
                state = None
            self._one_phase()
            self.good = None
            self.progress.end_phase()
        self._use_best()

    def _one_phase(self) -> None:
        """The rest of a phase, with a lower rate when it would not stay finite."""
        self._remember_good(only_first=True)
        while True:
            try:
                return self._epochs()
            except NotFinite as error:
                if self.good is None:
                    raise
                self._go_back(self.good, error)

    def _epochs(self) -> None:
        phase, progress = self.phase, self.progress
        self.saver.begin(progress.step)
        if self.saver.every.steps:
            phase.steps_per_call = min(phase.steps_per_call, self.saver.every.steps)
        done = time.monotonic()
        # Asked of the epochs, not of the steps: a state may lie between last step and validation.
        while phase.epoch_end(progress.epoch - 1) < phase.plan.total_steps:
            with epoch_rows.stage(phase, progress) as stage:
                found = self._epoch(stage)
            if found is None:
                continue
            row = self._judge(found)
            rest = phase.plan.phase.epochs - progress.epoch
            console.show(epoch_rows.shown(row, max(0.0, (time.monotonic() - done) * rest)))
            done = time.monotonic()
            self._write_rows()
            log_events.tell_epoch(self.loggers, self.plan, row, phase.validation.confusion)
            second_look.tell(self.plan, progress.rows)
            self._remember_good()
            limit = self.settings.early_stopping
            if limit is not None and progress.waited >= limit:
                console.say(f"no better for {limit} validations; phase {row['phase'] + 1} ends")
                return

    def _epoch(self, stage: console.Stage) -> Epoch | None:
        """Epochs up to the next validation; None where one had no steps."""
        phase, progress = self.phase, self.progress
        started, images = time.monotonic(), 0
        while True:
            images += self._steps_of_epoch(stage)
            progress.epoch += 1
            over = progress.step >= phase.plan.total_steps
            # A batch larger than the data spans several epochs.
            if progress.sums[-1]:
                if phase.averages.equal_from(progress.step):
                    progress.averaged += 1
                    phase.averages.take(progress.averaged)
                if progress.epoch % self.settings.validate_every == 0 or over:
                    return self._validated(images, time.monotonic() - started)
            if phase.epoch_end(progress.epoch - 1) >= phase.plan.total_steps:
                return None

    def _steps_of_epoch(self, stage: console.Stage) -> int:
        """The rest of the steps of an epoch; gives the number of images."""
        phase, progress, images = self.phase, self.progress, 0
        end = phase.epoch_end(progress.epoch)
        while progress.step < end:
            last = min(end, progress.step + phase.steps_per_call)
            figures = phase.run(progress.step, last)
            if self.loggers:
                args = (self.plan, progress.phase, progress.step)
                self.loggers.tell(log_events.steps(*args, figures, phase.rate_times))
            images += (last - progress.step) * phase.plan.order.batch_size
            progress.count(figures, last)
            stage.move(last, epoch_rows.doing(phase, progress))
            self._between()
        return images

    def _validated(self, images: int, seconds: float) -> Epoch:
        """Figures of the epochs since the last validation, and of this one."""
        phase, progress = self.phase, self.progress
        loss, _, right, labelled, steps = progress.taken_sums()
        figures = phase.validate()
        if figures and not math.isfinite(figures["loss"]) and not phase.tolerant:
            raise NotFinite(
                f"validation after step {progress.step} of phase {progress.phase + 1} is not "
                f"finite. {NOT_FINITE}"
            )
        return Epoch(
            progress.phase, progress.epoch, progress.step, loss / steps,
            right / labelled if labelled else None, figures, phase.rate_at(progress.step),
            images / max(seconds, 1e-9), seconds, False,
        )  # fmt: skip

    def _between(self) -> None:
        step = self.progress.step
        if self.member.any(bool(self.stop)):
            self.save()
            # No worker may end before the state is whole, or the chief would take it for lost.
            self.member.any(False)
            raise Stopped(step, self.run_dir, self.stop.signal or signal.SIGTERM)
        if self.saver.due(step, self.phase.plan.order.steps_per_epoch):
            self.save()

    # ---- the best weights ---------------------------------------------------------------------

    def _judge(self, epoch: Epoch) -> dict[str, Any]:
        """Keep the weights if the epoch is the best so far; gives its row."""
        progress, phase = self.progress, self.phase
        figures, metric = epoch.validation, phase.monitor
        sound = bool(figures) and math.isfinite(figures["loss"])
        improved = sound and better(metric, figures[metric], progress.best)
        progress.waited = 0 if improved else progress.waited + 1
        if improved:
            progress.best, progress.best_epoch = figures[metric], [epoch.phase, epoch.epoch]
        if improved or not figures:
            with phase.evaluation_weights():
                self.kept.best = values_of(self.student.variables)
        self._judge_peers()
        self._watch(figures)
        row = asdict(replace(epoch, best=improved))
        progress.rows.append(row)
        return row

    def _judge_peers(self) -> None:
        """Keep the weights of each peer that is at its best so far."""
        progress, peers = self.progress, self.plan.lesson.state.peers
        progress.peers = progress.peers or [None] * len(peers)
        self.kept.peers = self.kept.peers or [[] for _ in peers]
        for index, figure in enumerate(self.phase.validate_peers()):
            if figure is None or better(self.phase.monitor, figure, progress.peers[index]):
                progress.peers[index] = figure
                self.kept.peers[index] = values_of(peers[index].model.variables)

    def _watch(self, figures: Mapping[str, float]) -> None:
        """Let a plateau schedule see a validation figure."""
        if self.progress.watch(self.plan.pieces.job.schedule, self.phase.monitor, figures):
            self._set_rate()

    def _set_rate(self) -> None:
        """Multiply the schedule by what plateaus and halvings came to."""
        plateau = self.progress.plateau
        dropped = plateau["factor"] if plateau is not None else 1.0
        self.phase.set_rate_factor(dropped * 0.5**self.progress.halvings)

    def _use_best(self) -> None:
        if not self.kept.best:
            raise TlError("no epoch had a finite validation loss. Lower optimizer.learning_rate.")
        check_losses(self.progress)
        for variable, value in zip(self.student.variables, self.kept.best, strict=True):
            variable.assign(value)

    # ---- back from what is not finite ---------------------------------------------------------

    def _remember_good(self, only_first: bool = False) -> None:
        """Copy what a lower rate would start from: after a validation, or before the first step."""
        if self.settings.on_nan == "reduce_lr" and not (only_first and self.good):
            self.good = Snapshot.of(self.phase, self.progress)

    def _go_back(self, good: Snapshot, error: TlError) -> None:
        """Return to the last good moment of the phase and halve its rate.

        Raises:
            TlError: It was halved often enough.
        """
        halvings = next_halving(self.progress, error)
        self.progress = good.restored(self.phase, halvings, self.run_dir)
        self._set_rate()
        what = str(error).partition(", images")[0].partition(". ")[0]
        console.say(f"{what}; back to step {self.progress.step}, rate times {0.5**halvings:g}")

    # ---- on disk ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, on the chief; a full disk is waited for.

        Raises:
            WriteError: It stayed full for `save_retry`.
        """
        arrays = {k: v.numpy() for k, v in self.phase.state_variables().items()}
        arrays |= self.kept.arrays()
        arrays |= {f"swa/{i}": a for i, a in enumerate(self.phase.averages.swa)}
        check_weights(arrays, self.progress)
        facts = asdict(self.progress)
        if self.good is not None:
            arrays |= self.good.stored()
            facts["good"] = self.good.facts
        self.saver.save(self.progress.phase, self.progress.step, arrays, facts)

    def _restore(self, state: states.State) -> None:
        names = {field.name for field in fields(Progress)}
        self.progress = Progress(**{k: v for k, v in state.facts.items() if k in names})
        model = {f"model/{i}": v for i, v in enumerate(self.student.variables)}
        states.put(model, state.arrays, self.run_dir / "state")
        self.kept = KeptWeights.from_arrays(state.arrays, len(self.progress.peers))
        console.say(f"going on at phase {self.progress.phase + 1}, step {self.progress.step}")

    def _restore_phase(self, state: states.State) -> None:
        phase = self.phase
        states.put(phase.state_variables(), state.arrays, self.run_dir / "state")
        phase.averages.swa = numbered(state.arrays, "swa")
        self._set_rate()
        self.good = Snapshot.from_state(state)

    def _write_rows(self) -> None:
        if self.member.is_chief:
            path, text = self.run_dir / "metrics.csv", epoch_rows.table_of(self.progress.rows)
            self.saver.patiently(lambda: files.write_text(path, text))
