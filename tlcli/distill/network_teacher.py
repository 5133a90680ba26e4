"""A network as teacher: cut open where a method looks, frozen, folded, brought to the student."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tlcli.contracts.distillation import Outputs, Shape
from tlcli.contracts.teacher import BuiltTeacher, Target
from tlcli.distill.kept import Kept
from tlcli.distill.maps import MAPS, tapped
from tlcli.distill.network import Network, lent_map
from tlcli.distill.sorted_maps import GivenMaps, in_place
from tlcli.errors import ConfigError
from tlcli.models import fold
from tlcli.models.frozen.network import weights_hash
from tlcli.models.graph.cost import flops
from tlcli.models.graph.stages import stages as stages_of
from tlcli.models.graph.trace import layer_paths
from tlcli.models.layers import ChosenClasses, ResizeImages

BATCH = 128


class NetworkTeacher(BuiltTeacher):
    """A frozen network that speaks of the student's classes and images.

    Attributes:
        model: uint8 (batch, side, side, 3) to its signals in the order of `names`.
        names: `teacher_logits`, then perhaps `teacher_embedding`, `teacher_feature_0`, …
        shapes: Shape of each signal by name, without batch.
        given: Which of its maps are among them.
        norms: Offset and absolute scale of the BatchNorm behind each pre-activation, or empty.
        taps: Paths of the layers that give its maps.
        classifier: Its own images to its own classes.
        kept: Its outputs over finite views.
        tabular: Whether they are worth being computed once.
    """

    kept: Kept

    def __init__(self, network: Network, target: Target, option: Any) -> None:
        self.label, self.target, self.classes = network.label, target, network.classes
        self._reference = network.reference
        self.network = network
        classifier = keras.Model(network.images, network.logits)
        self.taps = _tapped_layers(classifier, target)
        self.model, self.names, self.given, self.norms = _signals(network, target, self.taps)
        self.shapes = {
            name: tuple(int(side) for side in tensor.shape[1:])
            for name, tensor in zip(self.names, self.model.outputs, strict=True)
        }
        self.head = _head(network) if "teacher_head" in target.needs else None
        self.classifier = classifier
        self.call = tf.function(
            lambda images: tf.nest.flatten(self.model(images, training=False)),
            reduce_retracing=True, autograph=False,
        )  # fmt: skip
        identity = "" if option is None else weights_hash(self.model.variables)
        if target.layers is not None:
            identity += " " + ", ".join(self.taps)
        cost = float(flops(classifier, int(network.images.shape[1]))) if self.given.shapes else 0.0
        self.kept = Kept(option, target, self.shapes, self.call, identity, cost)
        self.tabular = option is not None and option.cache != "off" and self.kept.worth
        self.table_bytes = self.kept.size

    def outputs(self, batch: Mapping[str, Any]) -> Outputs:
        """Signals of a batch: from tables where the batch has them, else of its images."""
        if self.names[0] in batch:
            found = [batch[name] for name in self.names]
        else:
            found = tf.nest.flatten(self.model(batch["images"], training=False))
        signals = {
            name: tf.stop_gradient(tf.cast(t, tf.float32))
            for name, t in zip(self.names, found, strict=True)
        }
        given = self.given
        after, before = _listed(signals, "feature"), _listed(signals, "preactivation")
        return Outputs(
            signals["teacher_logits"], signals.get("teacher_embedding"),
            in_place(after, given.features, given.shapes),
            in_place(before, given.preactivations, given.shapes),
            signals.get("teacher_head_map"), self.head,
        )  # fmt: skip

    @property
    def maps(self) -> tuple[Shape, ...]:
        """Shape of each of its maps, those that are not given too."""
        return self.given.shapes

    def compute(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """Tables of all signals by name, arrays (count * rows, ...)."""
        return self.kept.table(views, rows, count)

    @property
    def on_disk(self) -> bool:  # type: ignore[override]
        """Whether its outputs are, or will be, on disk."""
        return self.kept.store is not None

    def feed(self) -> Any:
        """What adds its outputs to a batch inside tf.data, or None when the step computes them."""
        return self.kept.lookup()

    def check(self) -> None:
        """Refuse stored outputs that were cut off; see BuiltTeacher."""
        if self.kept.store is not None:
            self.kept.store.check()

    def logits(self, views: Any, rows: Any) -> Any:
        """float32 (rows, classes)."""
        made = [np.asarray(self._logits_of(images)[0], np.float32)
                for images in views.batches(rows, np.zeros(len(rows)), BATCH)]  # fmt: skip
        return np.concatenate(made)

    @functools.cached_property
    def _logits_of(self) -> Any:
        """From images to a list that begins with the logits; maps are large, so without them."""
        if len(self.names) == 1:
            return self.call
        model = keras.Model(self.model.inputs, self.model.outputs[:1])
        return tf.function(
            lambda images: tf.nest.flatten(model(images, training=False)),
            reduce_retracing=True, autograph=False,
        )  # fmt: skip

    def reference(self) -> dict[str, Any]:
        """Where it came from."""
        return dict(self._reference)


def _listed(signals: dict[str, Any], kind: str) -> tuple[Any, ...]:
    return tuple(v for name, v in signals.items() if name.startswith(f"teacher_{kind}"))


def _tapped_layers(classifier: Any, target: Target) -> list[str]:
    """Paths of the layers whose maps are wanted."""
    if not MAPS & target.needs:
        return []
    if target.layers is None:
        return stages_of(classifier)
    return layer_paths(classifier, target.layers, "distillation.teacher_layers")


def _signals(
    network: Network, target: Target, taps: Sequence[str]
) -> tuple[Any, tuple[str, ...], GivenMaps, tuple[Any, ...]]:
    """The teacher as one model of the student's images, names of its outputs, maps, norms."""
    norms: tuple[Any, ...] = ()
    given = GivenMaps(())
    tensors, names = [network.logits], ["teacher_logits"]
    if "embedding" in target.needs:
        if network.embedding is None:
            raise ConfigError(
                "teacher", f"{network.label} has no pooled embedding", "Choose distillation=kd."
            )
        tensors, names = [*tensors, network.embedding], [*names, "teacher_embedding"]
    if "head_map" in target.needs:
        tensors, names = [*tensors, lent_map(network)], [*names, "teacher_head_map"]
    if MAPS & target.needs:
        classifier = keras.Model(network.images, network.logits)
        found, kinds, norms = tapped(classifier, target.needs, "teacher", taps)
        by_kind = dict(zip(kinds, found, strict=True))
        given = _given([t.shape[1:] for t in found[: len(taps)]], target, len(found) > len(taps))
        kept = [f"feature_{place}" for place in given.features]
        kept += [f"preactivation_{place}" for place in given.preactivations]
        tensors += [by_kind[name] for name in kept]
        names += [f"teacher_{name}" for name in kept]
    inner = keras.Model(network.images, tensors, name="teacher_network")
    images = keras.Input((target.side, target.side, 3), dtype="uint8", name="images")
    side = int(network.images.shape[1])
    shown = images if side == target.side else ResizeImages(target.side, side)(images)
    made = keras.tree.flatten(inner(shown))
    if network.places != list(range(int(network.logits.shape[-1]))):
        made[0] = ChosenClasses(network.places)(made[0])
    model = keras.Model(images, made, name="teacher")
    model.trainable = False
    return fold.folded(model) or model, tuple(names), given, norms


def _given(maps: Sequence[Any], target: Target, before: bool) -> GivenMaps:
    """The maps that the method looks at.

    Args:
        maps: Shape of each that there is.
        target: Knows the method.
        before: Whether there are maps before their activation too.
    """
    shapes = tuple(tuple(map(int, shape)) for shape in maps)
    places = []
    for kind in ("features", "preactivations") if before else ("features",):
        chosen = target.compared(kind, shapes)
        places.append(tuple(range(len(shapes)) if chosen is None else chosen))
    return GivenMaps(shapes, *places)


def _head(network: Network) -> Any:
    """From an embedding to the student's classes, frozen.

    Raises:
        ConfigError: The logits are no function of the embedding alone.
    """
    try:
        head = keras.Model(network.embedding, network.logits)
    except (ValueError, AttributeError, TypeError):
        raise ConfigError(
            "teacher", f"{network.label} has no head that can be used alone",
            "Choose distillation=kd.",
        ) from None  # fmt: skip
    head.trainable = False
    places = np.asarray(network.places, np.int32)
    return lambda embedding: tf.gather(head(embedding, training=False), places, axis=-1)
