"""Deep mutual learning: networks that learn together (Zhang et al. 2018, arXiv:1706.00384)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts.distillation import Batch, Outputs, Shapes, State
from tlcli.errors import require
from tlcli.lazy import Tensor, ops
from tlcli.options.distillation._common import Base, scheduled
from tlcli.options.distillation._logits import bernoulli_divergence, soft_divergence


@dataclass(frozen=True)
class Distillation(Base):
    """The student and its peers learn from the labels and from each other's predictions.

    Every network has hard_weight x label loss + soft_weight x divergence from the others, whose
    predictions are constant. All move in the same step from one set of predictions; the paper's
    networks move one after the other. Each network is kept at its best validation in RUN/peers;
    the run is the best of those that are like the student but for their first weights. Gradients
    are clipped over all networks together.

    Attributes:
        peers: One entry a peer: options of the student's backbone that differ, perhaps its name.
            An empty one is a network like the student with other random weights, its head's among
            them.
        target: "each" takes the mean of the divergences from the others, "mean" the divergence
            from their mean probabilities (DML_e of the paper).
        temperature: Divisor of all logits.
    """

    peers: tuple[dict[str, Any], ...]
    target: Literal["each", "mean"]
    temperature: float

    signals: ClassVar[frozenset[str]] = frozenset({"images"})
    needs_teacher: ClassVar[bool] = False
    min_classes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.peers, "distillation.peers", self.peers, "Give one at least, as [{}].")
        value, remedy = self.temperature, "Give a number above 0."
        require(value > 0, "distillation.temperature", value, remedy)

    def state(self, shapes: Shapes) -> State:
        """The peers, a layer of models."""
        from tlcli.options.distillation._states import Peers

        made = [shapes.networks.peer(changes, number, f"distillation.peers[{number - 1}]")
                for number, changes in enumerate(self.peers, 1)]  # fmt: skip
        return Peers(made)

    def loss(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any = None) -> Tensor:
        """The student's divergence and the whole loss of every peer, float32 (batch,)."""
        found = [model(batch.images, training=True) for model in state.models]
        logits = [ops.cast(z, "float32") for z in (student.logits, *found)]
        factor = self.full_weight * scheduled(self.warmup_epochs, self.decay, batch)
        total = factor * self.divergence(logits, 0, batch.multi_label)
        for index in range(1, len(logits)):
            total = total + self.hard_weight * batch.label_loss(logits[index])
            total = total + factor * self.divergence(logits, index, batch.multi_label)
        return total

    def divergence(self, logits: list[Tensor], index: int, multi_label: bool) -> Tensor:
        """T² KL of one network from the others, in nats, float32 (batch,).

        Args:
            logits: Of all networks, float32 (batch, classes).
            index: Of the network that learns.
            multi_label: Whether classes are independent; divergences are then summed.
        """
        others = [ops.stop_gradient(z) for i, z in enumerate(logits) if i != index]
        if self.target == "mean":
            others = [mean_logits(others, self.temperature, multi_label)]
        measure = bernoulli_divergence if multi_label else soft_divergence
        parts = [measure(logits[index], z, self.temperature) for z in others]
        return sum(parts) / len(parts)


def mean_logits(logits: list[Tensor], temperature: float, multi_label: bool) -> Tensor:
    """Logits whose probabilities at a temperature are the mean of those of several networks.

    Args:
        logits: Of the networks, float32 (batch, classes).
        temperature: Divisor of all logits, those returned included.
        multi_label: Whether classes are independent.
    """

    def log_mean(values: list[Tensor]) -> Tensor:
        return ops.logsumexp(ops.stack(values), axis=0) - math.log(len(values))

    scaled = [z / temperature for z in logits]
    if not multi_label:
        return temperature * log_mean([ops.log_softmax(z) for z in scaled])
    yes = log_mean([ops.log_sigmoid(z) for z in scaled])
    return temperature * (yes - log_mean([ops.log_sigmoid(-z) for z in scaled]))
