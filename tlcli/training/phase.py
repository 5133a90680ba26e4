"""One phase of a training: its variables and optimizer, its steps, what is evaluated and saved."""

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.data import TRAIN
from tlcli.contracts.finetune import Phase
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.errors import TlError
from tlcli.evaluation.monitor import monitored
from tlcli.models import fused_batch_norm, image_dropout, trainable
from tlcli.models.graph.split import Split
from tlcli.models.norms import moving_statistics
from tlcli.models.student import is_head
from tlcli.system import cluster, memory
from tlcli.training.averages import Averages
from tlcli.training.clock import NO_CLOCK, NoClock
from tlcli.training.feed import feed_of, source_of
from tlcli.training.label_loss import label_loss
from tlcli.training.plan import PhasePlan
from tlcli.training.progress import NOT_FINITE, NotFinite
from tlcli.training.rates import TableSchedule, with_rates
from tlcli.training.step import TrainStep
from tlcli.training.step_parts import StepParts
from tlcli.training.together import agree_on_pictures, together
from tlcli.training.validation import Validation
from tlcli.training.variables import make_variable

STEPS_PER_CALL = 64
# Fewer where batches are gathered meanwhile, so that a stop is heard.
STREAMED_PER_CALL = 8


class PhaseTraining:
    """A phase ready for its steps. The model is marked for it.

    Attributes:
        plan: What was decided about the phase.
        clock: Sees when parts of its steps are over.
        steps_per_call: Most steps that run before the trainer is asked.
        monitor: The figure that chooses the best epoch.
        variables: Trained variables: the student's, the method's, those of its peers.
        optimizer: Built, with rates.
        averages: Moving and equal averages of the weights.
        loss_scale: Variable, or None.
        begun: Whether a step was made, for which the graph was.
        feed: A function (first step, last step) -> figures, float32 (steps, 4), or (steps, 5)
            with the norm of the gradient where a logger shows it.
    """

    def __init__(
        self, pieces: Pieces, lesson: Lesson, plan: PhasePlan, clock: NoClock = NO_CLOCK
    ) -> None:
        self.pieces, self.lesson, self.plan, self.clock = pieces, lesson, plan, clock
        job = pieces.job
        self.steps_per_call = STEPS_PER_CALL
        self.begun = False
        self.member = cluster.join(job.hardware)
        self.monitor = monitored(job, pieces.manifest)
        with pieces.strategy.scope():
            self._build()
        told = memory.told(f"before phase {plan.index + 1}", "Give cache=off.")
        with together(self.member, lambda: pieces.manifest), told:
            source = source_of(pieces, lesson, plan)
            with pieces.strategy.scope():
                self.step = self._step(source.suffix(plan))
            self.feed = feed_of(pieces, lesson, plan, source, self.step)
            self.validation = Validation(pieces, plan.cut, plan.places.validation)
            whole = (Split(None, peer.model, ()) for peer in lesson.state.peers)
            self.peer_validations = [
                Validation(pieces, split, plan.places.pictures) for split in whole
            ]
        agree_on_pictures(self.member, pieces.manifest, pieces.manifest.rows(TRAIN))
        if source.streamed or self.member.size > 1:
            self.steps_per_call = STREAMED_PER_CALL

    # ---- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        pieces, state, phase = self.pieces, self.lesson.state, self.plan.phase
        model = self.lesson.student.model
        rates = trainable.apply(model, phase, pieces.batch_norm)
        fused_batch_norm.use_fused(model)
        image_dropout.use_image_dropout(model)
        variables = [v for v in model.trainable_variables if v.path in rates]
        if not variables:
            raise TlError(f"phase {phase.name!r} trains nothing. Choose layers with weights.")
        peers, peer_rates = self._peers()
        theirs = {id(v) for peer in state.peers for v in peer.model.variables}
        connectors = [v for v in state.trainable_variables if id(v) not in theirs]
        self.variables = [*variables, *connectors, *peers]
        multipliers = [*(rates[v.path] for v in variables), *[1.0] * len(connectors), *peer_rates]
        self.optimizer = self._optimizer(multipliers)
        self.averages = Averages(
            pieces.job.optimizer, [*variables, *moving_statistics(model)], self.plan.total_steps
        )
        half = keras.config.dtype_policy().name == "mixed_float16"
        self.loss_scale = make_variable(np.float32(2.0**15), "loss_scale") if half else None
        self.penalties = _penalties(model, phase, variables)

    def _peers(self) -> tuple[list[Any], list[float]]:
        """Trained variables of the networks beside the student, and their rates."""
        found, multipliers = [], []
        for peer in self.lesson.state.peers:
            phase = peer.phases[min(self.plan.index, len(peer.phases) - 1)]
            rates = trainable.apply(peer.model, phase, peer.batch_norm)
            trained = [v for v in peer.model.trainable_variables if v.path in rates]
            found += trained
            multipliers += [rates[v.path] for v in trained]
        return found, multipliers

    def _optimizer(self, multipliers: list[float]) -> Any:
        job, order, total = self.pieces.job, self.plan.order, self.plan.total_steps
        option, schedule = job.optimizer, job.schedule
        changes = schedule.watches_validation or job.settings.on_nan == "reduce_lr"
        self.rate_factor = make_variable(np.float32(1), "rate_factor") if changes else None
        decayed = [float(option.decay_norms_and_biases or len(v.shape) > 1) for v in self.variables]
        table = TableSchedule(self.plan.rate_table, self.rate_factor)
        momentum = schedule.momentum(total, order.steps_per_epoch, order.batch_size)
        return with_rates(
            option.build(table), self.variables, multipliers, decayed,
            option.weight_decay_values(total), momentum,
        )  # fmt: skip

    def _step(self, suffix: Any) -> TrainStep:
        pieces, lesson, plan = self.pieces, self.lesson, self.plan
        job = pieces.job
        needs_memory = "indices" in job.distillation.needs
        half = self.loss_scale is not None
        parts = StepParts(
            suffix=suffix, from_pictures=plan.cut.prefix is None, variables=self.variables,
            averaged=self.averages.variables, optimizer=self.optimizer, loss=label_loss(pieces),
            method=lesson.method, state=lesson.state, teacher=lesson.teacher,
            option=job.optimizer, penalties=self.penalties, order=plan.order,
            epochs=plan.phase.epochs, total_steps=plan.total_steps, loss_scale=self.loss_scale,
            skip_bad=half or job.settings.on_nan == "skip",
            jit=_jit(pieces) and not needs_memory, seed=job.settings.seed,
            multi_label=pieces.manifest.multi_label, ema=self.averages.ema,
            statistics=self._own_statistics(),
            moving=self._moving() if job.optimizer.sam is not None else [],
            norms=any(one.wants_gradients for one in job.logger.parts), clock=self.clock,
        )  # fmt: skip
        return TrainStep(pieces.strategy, parts)

    def _own_statistics(self) -> list[Any]:
        """Statistics that each device takes of its own images."""
        if self.pieces.job.hardware.batch_norm == "sync":
            return []
        peers = (peer.model for peer in self.lesson.state.peers)
        models = [self.lesson.student.model, *peers]
        return [variable for model in models for variable in moving_statistics(model)]

    def _moving(self) -> list[Any]:
        """Statistics of batches of all networks, those of connectors too."""
        state = self.lesson.state
        networks = [self.lesson.student.model, *(peer.model for peer in state.peers)]
        if isinstance(state, keras.layers.Layer):
            networks.append(state)
        found = {id(v): v for network in networks for v in moving_statistics(network)}
        return list(found.values())

    # ---- steps --------------------------------------------------------------------------------

    def run(self, first: int, last: int) -> Any:
        """Figures of some steps, float32 (steps, 4 or 5).

        Raises:
            NotFinite: A loss is not finite and such steps are not passed over.
            OutOfMemory: A step does not fit.
        """
        where = f"after step {first} of phase {self.plan.index + 1}"
        with self.member.waiting(), memory.told(where, self._smaller()):
            figures = self.feed(first, last)
        self.begun = True
        self._check_finite(figures, first)
        return figures

    def _smaller(self) -> str:
        """What to give where a step does not fit into memory."""
        settings = self.pieces.job.settings
        size, local = int(settings.batch_size), self.plan.order.local_size
        parts = 2 * settings.accumulation_steps
        found = []
        if size > 1:
            shared = f" ({local} images on each device now)" if local < size else ""
            found.append(f"batch_size={size // 2}{shared}")
        if parts <= local:
            found.append(f"accumulation_steps={parts}, which keeps the batch and cuts it")
        return f"Give {' or '.join([*found, 'a smaller image_size'])}."

    def _check_finite(self, figures: Any, first: int) -> None:
        if self.tolerant or np.isfinite(figures).all():
            return
        step = first + int(np.argmin(np.isfinite(figures).all(-1)))
        manifest = self.pieces.manifest
        rows = manifest.rows(TRAIN)[self.plan.order.slice(step).rows[:4]]
        shown = ", ".join(str(manifest.ids[row]) for row in rows)
        raise NotFinite(
            f"the loss is not finite at step {step} of phase {self.plan.index + 1}, images "
            f"{shown}, … {NOT_FINITE}"
        )

    @property
    def tolerant(self) -> bool:
        """Whether steps that are not finite are passed over."""
        return self.step.parts.skip_bad and self.pieces.job.settings.on_nan != "reduce_lr"

    def epoch_end(self, epoch: int) -> int:
        """Step after which an epoch (counted from 0) is over; 0 for epoch -1."""
        order = self.plan.order
        return min(self.plan.total_steps, -(-(epoch + 1) * order.samples // order.batch_size))

    def rate_at(self, step: int) -> float:
        """Learning rate after so many steps."""
        return float(self.plan.rate_table[min(step, self.plan.total_steps) - 1]) * self.rate_times

    @property
    def rate_times(self) -> float:
        """What the schedule is multiplied by now."""
        return float(self.rate_factor.numpy()) if self.rate_factor is not None else 1.0

    def set_rate_factor(self, factor: float) -> None:
        """Multiply the schedule, where anything may change it."""
        if self.rate_factor is not None:
            self.rate_factor.assign(np.float32(factor))

    # ---- evaluation ---------------------------------------------------------------------------

    def validate(self) -> dict[str, float]:
        """Validation figures of the averaged weights, or of the weights themselves."""
        whole = together(self.member, lambda: self.pieces.manifest)
        with whole, self.evaluation_weights():
            figures = self.validation.figures()
        # Unlike machines may differ in a last digit, and what follows must be the same on all.
        if self.member.size > 1:
            figures = json.loads(self.member.from_chief(json.dumps(figures)))
        return figures

    def validate_peers(self) -> list[float | None]:
        """The figure that chooses the best epoch, of each peer; None without validation images."""
        figures = [validation.figures() for validation in self.peer_validations]
        return [float(each[self.monitor]) if each else None for each in figures]

    def evaluation_weights(self) -> Any:
        """A context in which the model holds the weights that are evaluated and kept."""
        return self.averages.in_use(self.lesson.state.average, self.optimizer, self.variables)

    def state_variables(self) -> dict[str, Any]:
        """Every variable that the rest of the phase depends on, by name."""
        groups = {
            "model": self.lesson.student.model.variables,
            "optimizer": self.optimizer.variables,
            "method": self.lesson.state.variables,
            "ema": self.averages.ema,
            "scale": [self.loss_scale] if self.loss_scale is not None else [],
            "anchor": [start for _, start, _ in self.penalties if start is not None],
        }
        return {f"{g}/{i}": v for g, vs in groups.items() for i, v in enumerate(vs)}


def _penalties(model: Any, phase: Phase, variables: list[Any]) -> list[tuple[Any, Any, float]]:
    """Trained variables with where they began, None for the head's, and their factor."""
    head = {v.path for layer in model.layers if is_head(layer) for v in layer.trainable_variables}
    found: list[tuple[Any, Any, float]] = []
    for variable in variables:
        factor = phase.head_penalty if variable.path in head else phase.start_penalty
        if factor:
            start = None
            if variable.path not in head:
                start = make_variable(variable.numpy(), f"anchor_{len(found)}")
            found.append((variable, start, factor))
    return found


def _jit(pieces: Pieces) -> bool:
    if pieces.job.settings.jit != "auto":
        return bool(pieces.job.settings.jit)
    # XLA cannot compile what reduces over devices: batch statistics, relations between images.
    return pieces.replicas == 1 and bool(tf.config.list_logical_devices("GPU"))
