"""Several runs as one teacher."""

from dataclasses import dataclass
from typing import Any, Literal

from tlcli.errors import ConfigError, require
from tlcli.lazy import keras
from tlcli.teacher import Target
from tlcli.teacher._common import Computed, run_classes


@dataclass(frozen=True)
class Teacher(Computed):
    """The weighted mean of what several runs say; their classes are matched by name.

    Attributes:
        runs: Their folders, two or more.
        weights: Factor of each, above 0; None for equal ones. They are divided by their sum.
        mean: "logits", or "probabilities": logits are then the logarithm of the mean.
    """

    runs: tuple[str, ...]
    weights: tuple[float, ...] | None
    mean: Literal["logits", "probabilities"]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.runs) > 1, "teacher.runs", list(self.runs), "Give two folders or more.")
        weights = self.weights
        good = weights is None or (len(weights) == len(self.runs) and min(weights) > 0)
        require(good, "teacher.weights", weights, "Give one number above 0 a run, or null.")

    def known_classes(self) -> tuple[str, ...] | None:
        """Those of the first run.

        Raises:
            DataError: No finished run.
        """
        return run_classes(self.runs[0])

    def build(self, target: Target) -> Any:
        """The teacher; it has logits alone.

        Raises:
            ConfigError: A method that looks inside, or classes that a run does not know.
            DataError: A folder that is no finished run.
        """
        from tlcli.teacher._network import NetworkTeacher, float32_policy

        inside = target.needs - {"indices"}
        if inside:
            raise ConfigError(
                "teacher", f"an ensemble has logits alone, and the method needs {min(inside)}",
                "Give teacher=run, or a method on logits as kd.",
            )  # fmt: skip
        if target.manifest.multi_label and self.mean == "probabilities":
            raise ConfigError(
                "teacher.mean", "probabilities of independent classes have no softmax",
                "Give teacher.mean=logits.",
            )  # fmt: skip
        with float32_policy():
            return NetworkTeacher(self._network(target), target, self)

    def _network(self, target: Target) -> Any:
        from tlcli.teacher._layers import MeanLogits, MeanProbabilities
        from tlcli.teacher._network import Network, NetworkTeacher, run_network

        images = keras.Input((target.side, target.side, 3), dtype="uint8", name="images")
        logits, references, classes = [], [], []
        for index, path in enumerate(self.runs):
            network = run_network(path, target, f"teacher.runs[{index}]")
            model = NetworkTeacher(network, target, None).model
            member = keras.Model(model.inputs, model.outputs[0], name=f"member_{index}")
            logits.append(member(images))
            references.append(network.reference)
            classes.append(network.classes)
        given = self.weights or (1.0,) * len(self.runs)
        shares = [weight / sum(given) for weight in given]
        mean = MeanLogits if self.mean == "logits" else MeanProbabilities
        reference = {"ensemble": references, "weights": shares, "mean": self.mean}
        return Network(
            images, None, mean(shares)(logits), list(range(len(target.manifest.class_names))),
            "; ".join(dict.fromkeys(classes)), f"mean {self.mean} of {len(shares)} runs", reference,
        )  # fmt: skip
