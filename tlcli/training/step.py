"""A training step: the only place that knows strategy.run, gradients, clipping and averages.

One step is: loss of this replica's images over the global batch; gradients, in pieces when a batch
is accumulated; sum over replicas; unscale, check, clip; update; move averages. Batches come from
tables in memory (frozen computation done once) or from a stream of tf.data.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tlcli.contracts.distillation import Batch, Outputs
from tlcli.data.labels import label_lookup
from tlcli.models import image_dropout
from tlcli.models.frozen.shared import as_tensor
from tlcli.models.graph.trace import single
from tlcli.system.seeds import batch_seed
from tlcli.training import gradients
from tlcli.training.clock import ARRIVED, COMPUTED, REDUCED
from tlcli.training.replicas import (
    as_taken,
    assign_alike,
    average,
    label_mass,
    part_of_batch,
    replica_number,
    sized,
)
from tlcli.training.share import Share
from tlcli.training.step_parts import StepParts


class TrainStep:
    """The step of one phase, one after the other over tables or a stream."""

    def __init__(self, strategy: Any, parts: StepParts) -> None:
        self.strategy, self.parts = strategy, parts
        self.replicas = strategy.num_replicas_in_sync
        self.columns = 5 if parts.norms else 4
        self._gradients = (
            tf.function(self.loss_and_gradients, jit_compile=True, autograph=False)
            if parts.jit
            else self.loss_and_gradients
        )

    # ---- one step -----------------------------------------------------------------------------

    def _losses(self, batch: dict[str, Any], share: Share | None) -> tuple[Any, ...]:
        """Parts of the loss, its label term, right and labelled images; and what memories see."""
        parts = self.parts
        found = parts.suffix(single(batch["inputs"]), training=True)
        logits, embedding, *taps = [tf.cast(t, tf.float32) for t in tf.nest.flatten(found)]
        labels = tf.cast(batch["labels"], tf.float32)
        size = tf.cast(parts.order.batch_size, tf.float32)
        hard = parts.loss.loss(labels, logits)
        known = label_mass(labels, parts.multi_label)
        student = Outputs(logits, embedding, tuple(taps))
        teacher = parts.teacher.outputs(batch)
        per_image = parts.method.hard_weight * hard
        facts = self._facts(batch, share)
        extra = parts.method.loss(facts, student, teacher, parts.state)
        per_image += extra
        loss = tf.reduce_sum(per_image) / size
        right = tf.cast(tf.equal(tf.argmax(logits, -1), tf.argmax(labels, -1)), tf.float32)
        shown = [tf.reduce_sum(value) / size for value in (hard, right * known, known)]
        return loss, *shown, (facts, student, teacher)

    def _facts(self, batch: dict[str, Any], share: Share | None = None) -> Batch:
        parts = self.parts
        step = tf.cast(batch["step"], tf.float32)
        return Batch(
            labels=tf.cast(batch["labels"], tf.float32),
            indices=batch["rows"],
            progress=step / parts.total_steps,
            epoch=step * (parts.epochs / parts.total_steps),
            seed=batch_seed(parts.seed, batch["step"]),
            multi_label=parts.multi_label,
            images=batch.get("images"),
            share=share,
            label_loss=lambda logits: parts.loss.loss(tf.cast(batch["labels"], tf.float32), logits),
        )

    def _shares(self) -> list[Share]:
        """This replica's part of each piece of a batch."""
        order = self.parts.order
        pairs = zip(order.parts(), order.shares(replica_number()), strict=True)
        return [Share(s.start - p.start, len(s), p.stop - s.stop) for p, s in pairs]

    def loss_and_gradients(self, batch: dict[str, Any], first: bool = True) -> tuple[Any, Any]:
        """Figures of this replica (see `_step`), and its gradients, piece by piece.

        Args:
            batch: Of this replica.
            first: Whether the step has not seen these images yet: memories take them in once.
        """
        shares = self._shares()
        pieces, start = len(shares), 0
        figures, grads = tf.zeros((4,)), None
        for share in shares:
            part = batch if pieces == 1 else part_of_batch(batch, start, start + share.own)
            start += share.own
            seed = batch_seed(self.parts.seed, batch["step"])
            with image_dropout.of_images(seed, part["rows"]), tf.GradientTape() as tape:
                loss, *shown, seen = self._losses(part, share if self.replicas > 1 else None)
                total = loss + (self.parts.penalty() / self.replicas) / pieces
                scaled = total if self.parts.loss_scale is None else total * batch["scale"]
            found = tape.gradient(
                scaled, [v.value for v in self.parts.variables],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )  # fmt: skip
            facts, student, teacher = seen
            if first:
                self.parts.method.update(facts, student, teacher, self.parts.state)
            figures += tf.stack([total, *shown])
            grads = found if grads is None else [a + b for a, b in zip(grads, found, strict=True)]
        return figures, grads

    def _reduced(self, batch: dict[str, Any], first: bool = True) -> tuple[Any, list[Any]]:
        """Figures of this replica, and gradients summed over replicas and unscaled."""
        scale = self.parts.loss_scale
        if scale is not None:
            batch = {**batch, "scale": tf.identity(scale)}
        figures, grads = self._gradients(batch, first)
        grads = self.parts.clock.mark(COMPUTED, batch["step"], grads)
        if self.replicas > 1:
            context = tf.distribute.get_replica_context()
            grads = context.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        grads = self.parts.clock.mark(REDUCED, batch["step"], grads)
        if scale is not None:
            grads = [g / tf.cast(batch["scale"], g.dtype) for g in grads]
        return figures, grads

    def _step(self, batch: dict[str, Any]) -> Any:
        """One update; gives this replica's share of the figures, float32 (columns,).

        They are the loss, the label loss, and the shares of images whose label the student says
        and of those that have one; then the norm of the gradient, if wanted, before it is clipped.
        """
        arrived = self.parts.clock.mark(ARRIVED, batch["step"], batch["inputs"])
        batch = {**batch, "inputs": arrived}
        figures, grads = self._reduced(batch)
        if self.parts.option.sam is not None:
            grads = self._sharpness_aware(batch, grads)
        if self.parts.norms:
            figures = tf.concat([figures, [gradients.global_norm(grads) / self.replicas]], 0)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in grads])
        grads = self._clipped(grads)
        changed = [*self.parts.variables, *self.parts.optimizer.variables]
        before = [tf.identity(v.value) for v in changed] if self.parts.skip_bad else []
        self.parts.optimizer.apply(grads, self.parts.variables)
        if self.parts.skip_bad:
            self._keep(changed, before, finite)
        if self.parts.loss_scale is not None:
            self._rescale(finite)
        self._average_statistics()
        self._move_average()
        moved = self.parts.method.advance(self._facts(batch), self.parts.state)
        if moved:
            assign_alike([v.value for v, _ in moved], [new for _, new in moved],
                    lambda v, value: v.assign(value))  # fmt: skip
        return self.parts.clock.updated(batch["step"], figures, self.parts.variables)

    def _clipped(self, grads: list[Any]) -> list[Any]:
        option = self.parts.option
        if option.clip_value is not None:
            grads = gradients.clip_by_value(grads, option.clip_value)
        if option.agc is not None:
            grads = gradients.adaptive_clip(grads, self.parts.variables, option.agc)
        if option.clip_norm is not None:
            grads = gradients.clip_by_global_norm(grads, option.clip_norm)
        return grads

    def _sharpness_aware(self, batch: dict[str, Any], grads: list[Any]) -> list[Any]:
        """Gradients at the worst point nearby (Foret et al. 2021, arXiv:2010.01412).

        The second pass sees the same images: neither statistics of batches nor memories move again.
        """
        norm = gradients.global_norm(grads)
        factor = self.parts.option.sam / (norm + 1e-12)
        offsets = [g * tf.cast(factor, g.dtype) for g in grads]
        values = [v.value for v in self.parts.variables]
        assign_alike(values, offsets, lambda v, o: v.assign_add(o))
        moving = [v.value for v in self.parts.moving]
        before = [tf.identity(v) for v in moving]
        _, found = self._reduced(batch, first=False)
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        assign_alike(values, offsets, lambda v, o: v.assign_sub(o))
        return found

    def _keep(self, changed: list[Any], before: list[Any], finite: Any) -> None:
        """Undo an update that came from gradients which were not finite."""
        now = [v.value for v in changed]
        kept = [tf.where(finite, tf.identity(v), old) for v, old in zip(now, before, strict=True)]
        assign_alike(now, kept, lambda v, value: v.assign(value))

    def _rescale(self, finite: Any) -> None:
        """Halve the loss scale after an overflow, grow it slowly otherwise (2x in 2,000 steps)."""
        scale = self.parts.loss_scale
        grown = tf.minimum(scale * 2.0 ** (1 / 2000), 2.0**24)
        assign_alike([scale], [tf.where(finite, grown, tf.maximum(scale / 2, 1.0))],
                lambda v, value: v.assign(value))  # fmt: skip

    def _average_statistics(self) -> None:
        """Let statistics of batches that each replica took alone be their mean."""
        if self.parts.statistics and self.replicas > 1:
            average([v.value for v in self.parts.statistics])

    def _move_average(self) -> None:
        decay = self.parts.option.ema
        if decay is None:
            return
        # Short runs would otherwise average their random start (as in TensorFlow's own average).
        steps = tf.cast(self.parts.optimizer.iterations.value, tf.float32)
        rate = tf.minimum(decay, (1 + steps) / (10 + steps))
        values = [tf.identity(v.value) for v in self.parts.averaged]
        assign_alike(self.parts.ema, values,
                lambda e, v: e.assign(rate * e + (1 - rate) * tf.cast(v, e.dtype)))  # fmt: skip

    # ---- many steps ---------------------------------------------------------------------------

    def _repeated(self, step: Callable[[Any], tuple[Any, Any]], count: Any) -> Any:
        """Figures of some steps, float32 (count, columns), inside a graph.

        Args:
            step: From the number of a step, from 0, to what each replica does and its arguments.
            count: Of the steps, int32 scalar.
        """

        def body(index: Any, figures: Any) -> tuple[Any, Any]:
            each = self.strategy.run(*step(index))
            total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)
            return index + 1, figures.write(index, total)

        figures = tf.TensorArray(tf.float32, count, element_shape=(self.columns,))
        start = (tf.constant(0), figures)
        return tf.while_loop(lambda index, _: index < count, body, start)[1].stack()

    def from_tables(self, tables: list[Any], labels: Any, samples: int, extra: Any = None) -> Any:
        """A function (rows, views, first step) -> float32 (steps, columns) over tables.

        Args:
            tables: Cut tensors, arrays (views * samples, ...).
            labels: Class indices (samples,) or a table (samples, classes), see label_lookup.
            samples: Rows of one view.
            extra: Further tables by name for the teacher, (views * samples, ...).
        """
        held = [as_tensor(t) for t in tables]
        label_of = label_lookup(labels, int(self.parts.suffix.outputs[0].shape[-1]))
        held_extra = {name: as_tensor(t) for name, t in (extra or {}).items()}

        def one(rows: Any, views: Any, step: Any) -> Any:
            mine = self.parts.order.places(replica_number())
            rows, views = tf.gather(rows, mine), tf.gather(views, mine)
            places = rows + views * samples
            found = [tf.gather(t, places) for t in held]
            batch = {
                "inputs": as_taken(found, self.parts.suffix),
                **({"images": found[0]} if self.parts.from_pictures else {}),
                "labels": label_of(rows),
                "rows": rows, "views": views, "step": step,
                **{name: tf.gather(t, places) for name, t in held_extra.items()},
            }  # fmt: skip
            return self._step(batch)

        # A step has no control flow on tensors; converting its source takes longer than tracing it.
        one = tf.autograph.experimental.do_not_convert(one)
        table = tf.TensorSpec((None, self.parts.order.batch_size), tf.int64)

        @tf.function(input_signature=[table, table, tf.TensorSpec((), tf.int64)], autograph=False)
        def run(rows: Any, views: Any, first: Any) -> Any:
            def step(index: Any) -> Any:
                number = first + tf.cast(index, tf.int64)
                return one, (rows[index], views[index], number)

            return self._repeated(step, tf.shape(rows)[0])

        return run

    def from_stream(self) -> Any:
        """A function (iterator, steps) -> float32 (steps, columns) over a distributed dataset."""

        def one(batch: Any) -> Any:
            local = len(self.parts.order.places(replica_number()))
            batch = {k: tf.nest.map_structure(lambda t: sized(t, local), v)
                     for k, v in dict(batch).items()}  # fmt: skip
            if "inputs" not in batch:
                batch["inputs"] = [batch["images"]]
            batch["inputs"] = as_taken(batch["inputs"], self.parts.suffix)
            return self._step(batch)

        one = tf.autograph.experimental.do_not_convert(one)

        @tf.function(reduce_retracing=True, autograph=False)
        def run(iterator: Any, count: Any) -> Any:
            return self._repeated(lambda _: (one, (next(iterator),)), count)

        return run
