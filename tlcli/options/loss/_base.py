"""What the losses share: class weights, smoothing, sums over classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import loss
from tlcli.errors import ConfigError, nearest, require
from tlcli.lazy import Tensor, np, ops

ClassWeight = Literal["balanced"] | dict[str, float] | None


@dataclass(frozen=True)
class Weighted(loss.Loss):
    """A loss with weights of classes that a person may give.

    Attributes:
        class_weight: balanced, a mapping from class name to weight, or null.
    """

    class_weight: ClassWeight

    @property
    def needs_training_set(self) -> bool:
        """Whether there are weights, which are measured against the classes' sizes."""
        return self.class_weight is not None


def class_weights(given: ClassWeight, class_counts: Any, class_names: Sequence[str]) -> Any:
    """Weights as the configuration gives them, not normalised, float64 (classes,) or None.

    "balanced" is one over the count; a mapping leaves classes that it does not name at 1.
    """
    if given is None:
        return None
    if given == "balanced":
        return np.where(class_counts > 0, 1 / np.maximum(class_counts, 1), 0.0)
    names = [str(name) for name in class_names]
    weights = np.ones(len(names), np.float64)
    for name, weight in given.items():
        if str(name) not in names:
            raise ConfigError(
                "loss.class_weight", f"no class is called {str(name)!r}", nearest(str(name), names)
            )
        weights[names.index(str(name))] = weight
    return weights


def mean_one_over_images(weights: Any, class_counts: Any) -> Any:
    """Weights scaled so that the images of the training set have a mean weight of 1."""
    total = np.sum(weights * class_counts)
    _require_some(total)
    return weights * (np.sum(class_counts) / total)


def mean_one_over_classes(weights: Any) -> Any:
    """Weights scaled to a mean of 1: with sigmoids every image has a term of every class."""
    _require_some(np.sum(weights))
    return weights * (len(weights) / np.sum(weights))


def _require_some(total: float) -> None:
    if not total > 0:
        raise ConfigError(
            "loss.class_weight",
            "no class that has images has a weight above 0",
            "Give a weight above 0.",
        )


def check_class_weight(given: ClassWeight) -> None:
    """Raise a ConfigError for a weight that is negative or infinite."""
    for name, weight in given.items() if isinstance(given, Mapping) else ():
        place = f"loss.class_weight.{name}"
        require(0 <= weight < float("inf"), place, weight, "Give a number of 0 or more.")


def check_label_smoothing(given: float) -> None:
    """Raise a ConfigError unless the smoothing lies in [0, 1)."""
    require(0 <= given < 1, "loss.label_smoothing", given, "Give a number from 0, below 1.")


def smoothed(labels: Tensor, smoothing: float) -> Tensor:
    """Labels mixed with the uniform distribution (Szegedy et al. 2016, arXiv:1512.00567)."""
    return labels * (1 - smoothing) + smoothing / labels.shape[-1]


def softmax_cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of each image, in nats, float32 (batch,)."""
    return -ops.sum(labels * ops.log_softmax(logits, axis=-1), axis=-1)


def image_weights(labels: Tensor, per_class: Any) -> Tensor | float:
    """Weight of each image, float32 (batch,): its labels' mean of the class weights; or 1."""
    return 1.0 if per_class is None else ops.sum(labels * per_class, axis=-1)


def over_classes(terms: Tensor, per_class: Any, reduction: str) -> Tensor:
    """Weighted sum or mean of the classes' terms, float32 (batch,)."""
    weighted = terms if per_class is None else terms * per_class
    return ops.sum(weighted, axis=-1) if reduction == "sum" else ops.mean(weighted, axis=-1)
