"""One phase of the training: what it trains, where its batches come from, and its epochs."""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.contracts.finetune import Phase
from tlcli.data.labels import label_lookup
from tlcli.data.streams import table_stream
from tlcli.distill.pieces import Run
from tlcli.errors import TlError
from tlcli.evaluation.monitor import monitored
from tlcli.models import fused_batch_norm, graph, image_dropout
from tlcli.models.norms import is_batch_norm
from tlcli.models.student import is_head
from tlcli.models.trainable import set_trainable
from tlcli.system import cluster, memory
from tlcli.training.frozen_part import _joined, cached_split, outputs, placed
from tlcli.training.label_loss import label_loss
from tlcli.training.order import make_order
from tlcli.training.progress import NOT_FINITE, Epoch, NotFinite, Progress
from tlcli.training.rates import TableSchedule, evaluation_weights, with_rates
from tlcli.training.step import Loop, Parts
from tlcli.training.validation import SplitEvaluator
from tlcli.training.variables import make_variable

log = logging.getLogger(__name__)
STEPS_PER_CALL = 64


class PhaseTrainer:
    """Trains one phase of a run."""

    def __init__(self, run: Run, phase: Phase, index: int, first_epoch: int) -> None:
        self.run, self.phase, self.index = run, phase, index
        job, manifest = run.job, run.manifest
        self.rows = manifest.rows(TRAIN)
        self.labels = manifest.labels[self.rows]
        self.order = make_order(run, self.rows, first_epoch)
        self.total_steps = self.order.total_steps(phase.epochs)
        self.steps_per_call = STEPS_PER_CALL
        self.member = cluster.join(job.hardware)
        with run.strategy.scope():
            self._build()
        self.monitor = monitored(job, manifest)
        with memory.told(f"before phase {index + 1}", "Give cache=off."):
            self.feed = self._feed()
            self._validate = self._validation()
            self._validate_peers = self._peer_validation()

    # ---- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        run, phase = self.run, self.phase
        job, student = run.job, run.student
        rates = set_trainable(student.model, phase.rates, phase.only, run.batch_norm)
        fused_batch_norm.use_fused(student.model)
        image_dropout.use_image_dropout(student.model)
        self.split = cached_split(run)
        variables = [v for v in student.model.trainable_variables if v.path in rates]
        if not variables:
            raise TlError(f"phase {phase.name!r} trains nothing. Choose layers with weights.")
        state = run.method_state
        peers, peer_rates = self._peers()
        theirs = {id(v) for peer in getattr(state, "peers", ()) for v in peer.model.variables}
        connectors = [v for v in (state.trainable_variables if state is not None else [])
                      if id(v) not in theirs]  # fmt: skip
        self.variables = [*variables, *connectors, *peers]
        multipliers = [*(rates[v.path] for v in variables), *[1.0] * len(connectors), *peer_rates]
        self.optimizer = self._optimizer(multipliers)
        self.averaged = [*variables, *_moving_statistics(student.model)]
        option = job.optimizer
        self.ema = [make_variable(v.numpy(), f"ema_{i}") for i, v in enumerate(self.averaged)] if (
            option.ema is not None) else []  # fmt: skip
        self.swa: list[Any] = []
        half = keras.config.dtype_policy().name == "mixed_float16"
        self.loss_scale = make_variable(np.float32(2.0**15), "loss_scale") if half else None
        needs_memory = "indices" in job.distillation.needs
        self.loop = Loop(
            run.strategy,
            Parts(
                suffix=self.split.suffix, variables=self.variables, averaged=self.averaged,
                optimizer=self.optimizer, loss=label_loss(run),
                method=run.method, method_state=state, teacher=run.teacher and run.teacher.outputs,
                option=option, penalties=self._penalties(variables), order=self.order,
                epochs=phase.epochs, total_steps=self.total_steps,
                loss_scale=self.loss_scale,
                skip_bad=half or job.settings.on_nan == "skip",
                jit=_jit(run) and not needs_memory, seed=job.settings.seed,
                multi_label=run.manifest.multi_label, ema=self.ema,
                statistics=self._own_statistics(),
            ),
        )  # fmt: skip

    def _own_statistics(self) -> list[Any]:
        """Statistics that each device takes of its own images."""
        if self.run.job.hardware.batch_norm == "sync":
            return []
        peers = getattr(self.run.method_state, "peers", ())
        models = [self.run.student.model, *(peer.model for peer in peers)]
        return [variable for model in models for variable in _moving_statistics(model)]

    def _peers(self) -> tuple[list[Any], list[float]]:
        """Trained variables of the networks beside the student, and their rates."""
        found, multipliers = [], []
        for peer in getattr(self.run.method_state, "peers", ()):
            phase = peer.phases[min(self.index, len(peer.phases) - 1)]
            rates = set_trainable(peer.model, phase.rates, phase.only, peer.batch_norm)
            trained = [v for v in peer.model.trainable_variables if v.path in rates]
            found += trained
            multipliers += [rates[v.path] for v in trained]
        return found, multipliers

    def _optimizer(self, multipliers: list[float]) -> Any:
        job, total = self.run.job, self.total_steps
        batch, per_epoch = self.order.batch_size, self.order.steps_per_epoch
        option, schedule = job.optimizer, job.schedule
        base = option.scaled_rate(batch) * self.phase.rate
        values = base * schedule.values(total, per_epoch, batch)
        self.rate_table = values
        changes = schedule.watches_validation or job.settings.on_nan == "reduce_lr"
        self.rate_factor = make_variable(np.float32(1), "rate_factor") if changes else None
        decayed = [float(option.decay_norms_and_biases or len(v.shape) > 1) for v in self.variables]
        return with_rates(
            option.build(TableSchedule(values, self.rate_factor)), self.variables, multipliers,
            decayed, option.weight_decay_values(total), schedule.momentum(total, per_epoch, batch),
        )  # fmt: skip

    def _penalties(self, variables: list[Any]) -> list[tuple[Any, Any, float]]:
        phase = self.phase
        head = {v.path for layer in self.run.student.model.layers if is_head(layer)
                for v in layer.trainable_variables}  # fmt: skip
        found: list[tuple[Any, Any, float]] = []
        for variable in variables:
            factor = phase.head_penalty if variable.path in head else phase.start_penalty
            if factor:
                start = None
                if variable.path not in head:
                    start = make_variable(variable.numpy(), f"anchor_{len(found)}")
                found.append((variable, start, factor))
        return found

    # ---- feeding ------------------------------------------------------------------------------

    def _feed(self) -> Callable[[int, int], Any]:
        """A function (first step, last step) -> figures (steps, 4)."""
        run = self.run
        count = run.train_views.finite
        teacher_ok = run.teacher is None or run.teacher.tabular
        if count is None or not teacher_ok:
            return self._stream_feed()
        place = placed(run, self.split.prefix, run.train_views, len(self.rows) * count)
        arrays = outputs(run, self.split.prefix, run.train_views, self.rows, place)
        if place is None or arrays is None:
            return self._stream_feed()
        extra = run.teacher.table(run, self.rows, count) if run.teacher is not None else {}
        if place.mapped:
            return self._mapped_feed(arrays, extra)
        self.source = "cached"
        steps = self.loop.from_tables(arrays, self.labels, len(self.rows), extra)

        def feed(first: int, last: int) -> Any:
            rows, epochs = self.order.block(first, last)
            views = np.asarray(run.train_views.number(epochs), np.int64)
            return steps(rows, views, np.int64(first)).numpy()

        return feed

    def _mapped_feed(self, arrays: list[Any], extra: dict[str, Any]) -> Callable[[int, int], Any]:
        """Batches gathered from tables on disk while steps run."""
        self.source = "streamed"
        views = self.run.train_views

        label_of = label_lookup(self.labels, len(self.run.manifest.class_names))

        def batches(span: range, replicas: range) -> Any:
            return table_stream(arrays, extra, label_of, self.order, views.number, span, replicas)

        return self._distributed(batches)

    def _stream_feed(self) -> Callable[[int, int], Any]:
        run = self.run
        self.source = "streamed"
        if self.split.prefix is not None:
            # The frozen part runs in the step; its layers are constant, so the result is the same.
            self.loop.parts.suffix = _joined(self.split)
        add = run.teacher.feed() if run.teacher is not None else None

        def batches(span: range, replicas: range) -> Any:
            return run.train_views.stream(self.rows, self.labels, self.order, span, replicas, add)

        return self._distributed(batches)

    def _distributed(self, batches: Callable[[range, range], Any]) -> Callable[[int, int], Any]:
        """Steps over datasets of batches for (steps, replicas)."""
        strategy, steps = self.run.strategy, self.loop.from_stream()
        state: dict[str, Any] = {"next": -1, "iterator": None}

        def dataset(context: Any, start: int) -> Any:
            local = strategy.num_replicas_in_sync // context.num_input_pipelines
            first = context.input_pipeline_id * local
            return batches(range(start, self.total_steps), range(first, first + local))

        def feed(first: int, last: int) -> Any:
            if state["next"] != first:
                made = strategy.distribute_datasets_from_function(lambda c: dataset(c, first))
                state["iterator"] = iter(made)
            state["next"] = last
            try:
                return steps(state["iterator"], tf.constant(last - first)).numpy()
            except tf.errors.InvalidArgumentError as error:
                raise self.run.train_views.explained(error, self.rows) from error

        return feed

    # ---- validation ---------------------------------------------------------------------------

    def _validation(self) -> Callable[[], dict[str, float]]:
        run = self.run
        rows = run.manifest.labelled(VALIDATION)
        evaluate = SplitEvaluator(run, self.split, rows)
        return lambda: evaluate().result() if len(rows) else {}

    def validate(self) -> dict[str, float]:
        """Validation figures of the averaged weights, or of the weights themselves."""
        with self.evaluation_weights():
            figures = self._validate()
        # Unlike machines may differ in a last digit, and what follows must be the same on all.
        if self.member.size > 1:
            figures = json.loads(self.member.from_chief(json.dumps(figures)))
        return figures

    @property
    def peers(self) -> list[Any]:
        """Networks that learn beside the student (see distillation.Peer)."""
        return list(getattr(self.run.method_state, "peers", ()))

    def _peer_validation(self) -> list[Callable[[], Any]]:
        rows = self.run.manifest.labelled(VALIDATION)
        if not len(rows):
            return []
        whole = (graph.Split(None, peer.model, ()) for peer in self.peers)
        return [SplitEvaluator(self.run, split, rows) for split in whole]

    def validate_peers(self) -> list[float | None]:
        """The figure that chooses the best epoch, of each peer; None without validation images."""
        found = [float(measure().result()[self.monitor]) for measure in self._validate_peers]
        return [*found] or [None] * len(self.peers)

    def evaluation_weights(self) -> "_Swapped":
        """A context in which the model holds the weights that are evaluated and kept."""
        if self.ema:
            return _Swapped(self.averaged, [e.numpy() for e in self.ema])
        if self.swa:
            return _Swapped(self.averaged, self.swa)
        average = getattr(self.run.method_state, "average", None)
        if average is not None and average.keep:
            mine, theirs = zip(*average.pairs, strict=True)
            return _Swapped(list(theirs), [v.numpy() for v in mine])
        free = evaluation_weights(self.optimizer)
        if free is not None:
            return _Swapped(self.variables, [np.asarray(w) for w in free])
        return _Swapped([], [])

    # ---- state --------------------------------------------------------------------------------

    def state_variables(self) -> dict[str, Any]:
        """Every variable that the rest of the phase depends on, by name."""
        run = self.run
        groups = {
            "model": run.student.model.variables,
            "optimizer": self.optimizer.variables,
            "method": run.method_state.variables if run.method_state is not None else [],
            "ema": self.ema,
            "scale": [self.loss_scale] if self.loss_scale is not None else [],
            "anchor": [s for _, s, _ in self.loop.parts.penalties if s is not None],
        }
        return {f"{g}/{i}": v for g, vs in groups.items() for i, v in enumerate(vs)}

    def update_swa(self, progress: Progress) -> None:
        """Take the weights into their equal average, once an epoch after its start."""
        start = self.run.job.optimizer.swa
        if start is None or progress.step < start * self.total_steps:
            return
        progress.averaged += 1
        values = [np.asarray(v.numpy(), np.float32) for v in self.averaged]
        if not self.swa:
            self.swa = values
        else:
            self.swa = [
                a + (v - a) / progress.averaged for a, v in zip(self.swa, values, strict=True)
            ]

    # ---- epochs -------------------------------------------------------------------------------

    def epoch_end(self, epoch: int) -> int:
        """Step after which an epoch (counted from 0) is over; 0 for epoch -1."""
        return min(self.total_steps, -(-(epoch + 1) * self.order.samples // self.order.batch_size))

    def epochs(self, progress: Progress, between: Callable[[int], None]) -> Iterator[Epoch]:
        """Train from where progress stands; yields after each validation.

        Args:
            progress: Moved along.
            between: Called with the steps done after each call into the graph; may raise.
        """
        started, images = time.monotonic(), 0
        # Asked of the epochs, not of the steps: a state may lie between last step and validation.
        while self.epoch_end(progress.epoch - 1) < self.total_steps:
            end = self.epoch_end(progress.epoch)
            while progress.step < end:
                last = min(end, progress.step + self.steps_per_call)
                if self.source == "streamed" or self.member.size > 1:
                    last = min(last, progress.step + 8)
                where = f"after step {progress.step} of phase {self.index + 1}"
                with self.member.waiting(), memory.told(where, self.smaller()):
                    figures = self.feed(progress.step, last)
                self._check_finite(figures, progress.step)
                images += (last - progress.step) * self.order.batch_size
                sums = np.asarray(progress.sums)
                for row in figures:  # one by one, so that a resume adds in the same order
                    sums += [*row, 1]
                progress.sums = sums.tolist()
                progress.step = last
                between(last)
            progress.epoch += 1
            if not progress.sums[-1]:
                continue  # a batch larger than the data spans several epochs
            self.update_swa(progress)
            every = self.run.job.settings.validate_every
            if progress.epoch % every == 0 or progress.step >= self.total_steps:
                yield self._epoch(progress, images, time.monotonic() - started)
                started, images = time.monotonic(), 0

    def smaller(self) -> str:
        """What to give where a step does not fit into memory."""
        settings = self.run.job.settings
        size, local = int(settings.batch_size), self.order.local_size
        pieces = 2 * settings.accumulation_steps
        found = []
        if size > 1:
            shared = f" ({local} images on each device now)" if local < size else ""
            found.append(f"batch_size={size // 2}{shared}")
        if pieces <= local:
            found.append(f"accumulation_steps={pieces}, which keeps the batch and cuts it")
        return f"Give {' or '.join([*found, 'a smaller image_size'])}."

    def _epoch(self, progress: Progress, images: int, seconds: float) -> Epoch:
        loss, _, right, labelled, steps = progress.sums
        progress.sums = [0.0] * 5
        figures = self.validate()
        if figures and not math.isfinite(figures["loss"]) and not self._tolerant:
            raise NotFinite(
                f"validation after step {progress.step} of phase {self.index + 1} is not finite. "
                f"{NOT_FINITE}"
            )
        rate = float(self.rate_table[min(progress.step, self.total_steps) - 1])
        factor = float(self.rate_factor.numpy()) if self.rate_factor is not None else 1.0
        return Epoch(
            self.index, progress.epoch, progress.step, loss / steps,
            right / labelled if labelled else None, figures, rate * factor,
            images / max(seconds, 1e-9), seconds, False,
        )  # fmt: skip

    def plateau(self, progress: Progress, figures: dict[str, float]) -> None:
        """Let a plateau schedule see a validation figure."""
        schedule = self.run.job.schedule
        if not schedule.watches_validation or not figures:
            return
        state = progress.plateau or schedule.initial_state()
        value = figures[self.monitor]
        progress.plateau = schedule.update(state, value if self.monitor == "loss" else -value)
        self.set_rate(progress)

    def set_rate(self, progress: Progress) -> None:
        """Multiply the schedule by what plateaus and halvings came to."""
        if self.rate_factor is not None:
            dropped = progress.plateau["factor"] if progress.plateau is not None else 1.0
            self.rate_factor.assign(np.float32(dropped * 0.5**progress.halvings))

    @property
    def _tolerant(self) -> bool:
        """Whether steps that are not finite are passed over."""
        return bool(self.loop.parts.skip_bad) and self.run.job.settings.on_nan != "reduce_lr"

    def _check_finite(self, figures: Any, first: int) -> None:
        if self._tolerant or np.isfinite(figures).all():
            return
        step = first + int(np.argmin(np.isfinite(figures).all(-1)))
        shown = [str(self.run.manifest.ids[self.rows[r]]) for r in self.order.slice(step).rows[:4]]
        raise NotFinite(
            f"the loss is not finite at step {step} of phase {self.index + 1}, images "
            f"{', '.join(shown)}, … {NOT_FINITE}"
        )


class _Swapped:
    """Other values in some variables for a while."""

    def __init__(self, variables: list[Any], values: list[Any]) -> None:
        self.variables, self.values = variables, values

    def __enter__(self) -> None:
        self.kept = [v.numpy() for v in self.variables]
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value)

    def __exit__(self, *reason: object) -> None:
        for variable, value in zip(self.variables, self.kept, strict=True):
            variable.assign(value)


def _moving_statistics(model: Any) -> list[Any]:
    return [
        variable
        for layer in model._flatten_layers()
        if is_batch_norm(layer) and layer.trainable
        for variable in layer.non_trainable_variables
    ]


def _jit(run: Run) -> bool:
    if run.job.settings.jit != "auto":
        return bool(run.job.settings.jit)
    # XLA cannot compile what reduces over devices: batch statistics, relations between images.
    alone = run.strategy.num_replicas_in_sync == 1
    return alone and bool(tf.config.list_logical_devices("GPU"))
