"""Several runs as one teacher."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts.teacher import Target
from tlcli.errors import ConfigError, nearest, require
from tlcli.lazy import keras, np
from tlcli.options.teacher._common import Computed, run_classes


@dataclass(frozen=True)
class Teacher(Computed):
    """The weighted mean of what several runs say; their classes are matched by name.

    Attributes:
        runs: Their folders, two or more.
        weights: Factor of each run, above 0; or of each in some classes, by class name, where those
            left out weigh equally; "accuracy" or "class_accuracy" for each run's share of right
            validation images, of all or of each class, (right + 1) / (images + 2); None for equal
            ones. They are divided by their sum over the runs.
        mean: "logits", or "probabilities": logits are then the logarithm of the mean.
    """

    runs: tuple[str, ...]
    weights: (
        tuple[float, ...] | dict[str, tuple[float, ...]]
        | Literal["accuracy", "class_accuracy"] | None
    )  # fmt: skip
    mean: Literal["logits", "probabilities"]

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.runs) > 1, "teacher.runs", list(self.runs), "Give two folders or more.")
        given = self.weights if isinstance(self.weights, Mapping) else {"": self.weights}
        for name, weights in given.items():
            where = f"teacher.weights.{name}" if name else "teacher.weights"
            good = not isinstance(weights, tuple) or (
                len(weights) == len(self.runs) and min(weights) > 0
            )
            require(good, where, weights, "Give one number above 0 a run, or null.")

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
        from tlcli.distill.network import float32_policy
        from tlcli.distill.network_teacher import NetworkTeacher

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
        from tlcli.distill.network import Network, run_network
        from tlcli.distill.network_teacher import NetworkTeacher
        from tlcli.models.layers import MeanLogits, MeanProbabilities

        images = keras.Input((target.side, target.side, 3), dtype="uint8", name="images")
        members, references, classes = [], [], []
        for index, path in enumerate(self.runs):
            network = run_network(path, target, f"teacher.runs[{index}]")
            model = NetworkTeacher(network, target, None).model
            members.append(keras.Model(model.inputs, model.outputs[0], name=f"member_{index}"))
            references.append(network.reference)
            classes.append(network.classes)
        shares = self._shares(members, target)
        mean = MeanLogits if self.mean == "logits" else MeanProbabilities
        reference = {"ensemble": references, "weights": shares.tolist(), "mean": self.mean}
        return Network(
            images, None, mean(shares)([member(images) for member in members]),
            list(range(len(target.manifest.class_names))), "; ".join(dict.fromkeys(classes)),
            f"mean {self.mean} of {len(members)} runs{self._told(shares)}", reference,
        )  # fmt: skip

    def _shares(self, members: Any, target: Target) -> Any:
        """Share of each run, (runs,), or of each run in each class, (runs, classes).

        Raises:
            ConfigError: A class that there is not, or nothing to measure on.
        """
        weights, names = self.weights, target.manifest.class_names
        if isinstance(weights, str):
            values = measured(members, target, by_class=weights == "class_accuracy")
        elif isinstance(weights, Mapping):
            unknown = sorted(set(weights) - set(names))
            if unknown:
                where = f"teacher.weights.{unknown[0]}"
                raise ConfigError(where, "there is no such class", nearest(unknown[0], names))
            equal = (1.0,) * len(members)
            values = np.array([weights.get(name, equal) for name in names]).T
        else:
            values = np.array(weights or (1.0,) * len(members))
        return values / values.sum(0)

    def _told(self, shares: Any) -> str:
        """Weights in words."""
        if shares.ndim == 2:
            spread = f"{shares.min():.2f} to {shares.max():.2f}"
            return f", weights by class {spread}" + (
                " (validation)" if isinstance(self.weights, str) else "")  # fmt: skip
        if isinstance(self.weights, str):
            return f", weights {', '.join(f'{share:.3f}' for share in shares)} (validation)"
        return ""


def measured(members: Any, target: Target, by_class: bool) -> Any:
    """Share of validation images that each member has right, with one right and one wrong more.

    Args:
        members: Models of the student's images to logits.
        target: The student's data.
        by_class: Whether each class has a share of its own.

    Returns:
        float64 (members,) or (members, classes).

    Raises:
        ConfigError: No labelled validation image, or several labels an image.
    """
    from tlcli.contracts.data import VALIDATION
    from tlcli.distill.network_teacher import BATCH
    from tlcli.models.frozen.network import compute

    manifest = target.manifest
    rows = manifest.labelled(VALIDATION)
    if manifest.multi_label or not len(rows):
        kind = "several labels an image" if manifest.multi_label else "no labelled validation image"
        raise ConfigError("teacher.weights", f"there is {kind} to measure on", "Give numbers.")
    labels, classes, found = manifest.labels[rows], len(manifest.class_names), []
    for member in members:
        logits = compute(member, target.plain, rows, 1, BATCH)[0]
        right = labels[logits.argmax(-1) == labels]
        counts = [np.bincount(x, minlength=classes).astype(float) for x in (right, labels)]
        ours, all_of_them = counts if by_class else [count.sum() for count in counts]
        found.append((ours + 1) / (all_of_them + 2))
    return np.array(found)
