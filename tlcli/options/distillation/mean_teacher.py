"""A teacher that is the student's moving average (Tarvainen & Valpola 2017, arXiv:1703.01780)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Base, scheduled
from tlcli.options.distillation._logits import bernoulli_divergence, soft_divergence


@dataclass(frozen=True)
class Distillation(Base):
    """Consistency of the student's probabilities with those of its average over steps.

    After each step average = decay x average + (1 - decay) x student, statistics of batch
    normalisation included. Both see the same view; the student alone has dropout and batch
    statistics (in the paper each draws noise and views of its own).

    Attributes:
        ema_decay: Share of the average that a step keeps, in [0, 1).
        ema_warmup: Whether step n keeps n / (n + 1) at most: a true mean until that is reached.
        ramp: How the term rises over `warmup_epochs`: "linear", or the paper's
            "sigmoid" exp(-5 (1 - x)²).
        cost: "mse", the mean over classes of squared differences of probabilities (the paper's),
            or "kl", the divergence from the average in nats (summed over independent classes).
        keep: Which network the run keeps; optimizer.ema goes before it.
    """

    ema_decay: float
    ema_warmup: bool
    ramp: Literal["linear", "sigmoid"]
    cost: Literal["mse", "kl"]
    keep: Literal["teacher", "student"]

    signals: ClassVar[frozenset[str]] = frozenset({"images"})
    needs_teacher: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        value, remedy = self.ema_decay, "Give a number in [0, 1)."
        require(0 <= value < 1, "distillation.ema_decay", value, remedy)

    def state(self, shapes: Shapes) -> State:
        """The average, equal to the student."""
        from tlcli.options.distillation._states import Average

        networks = shapes.networks
        return Average(networks.copy(), networks.student, self.keep == "teacher")

    def loss(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any = None) -> Tensor:
        """The student's distance from its average, weighted, float32 (batch,)."""
        theirs = ops.stop_gradient(state.model(batch.images, training=False))
        ours, theirs = (ops.cast(z, "float32") for z in (student.logits, theirs))
        return self.factor(batch) * self.distance(ours, theirs, batch.multi_label)

    def factor(self, batch: Batch) -> Tensor:
        """Weight of the term at this step, float32 scalar."""
        if self.ramp == "linear" or self.warmup_epochs == 0:
            return self.full_weight * scheduled(self.warmup_epochs, self.decay, batch)
        done = ops.minimum(ops.cast(batch.epoch, "float32") / self.warmup_epochs, 1.0)
        rise = ops.exp(-5.0 * ops.square(1.0 - done))
        return self.full_weight * rise * scheduled(0.0, self.decay, batch)

    def distance(self, student: Tensor, teacher: Tensor, multi_label: bool) -> Tensor:
        """Cost of each image, float32 (batch,)."""
        if self.cost == "kl":
            measure = bernoulli_divergence if multi_label else soft_divergence
            return measure(student, teacher, 1.0)
        squash = ops.sigmoid if multi_label else ops.softmax
        return ops.mean(ops.square(squash(student) - squash(teacher)), axis=-1)

    def advance(self, batch: Batch, state: Any = None) -> list[tuple[Any, Tensor]]:
        """The average's variables and its count of moves, each with its next value."""
        moves = ops.convert_to_tensor(state.moves)
        kept: Tensor = ops.cast(self.ema_decay, "float32")
        if self.ema_warmup:
            kept = ops.minimum(kept, (moves + 1.0) / (moves + 2.0))
        moved = []
        for mine, theirs in state.pairs:
            old, new = ops.convert_to_tensor(mine), ops.convert_to_tensor(theirs)
            moved.append((mine, old + (1.0 - ops.cast(kept, old.dtype)) * (new - old)))
        return [*moved, (state.moves, moves + 1.0)]
