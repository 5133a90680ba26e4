"""Weights that bear 8 bits: learned, without labels, from the network's own answers.

Rounded as runtimes round them, weights and what flows between layers, a copy of the network learns
to answer as before: gradients pass through the rounding as if it were not there (Jacob et al. 2018,
arXiv:1712.05877), and the answers of the network itself are what is learned (Mishra and Marr 2018,
arXiv:1711.05852).
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.lazy import keras, np, tf
from tlcli.models.graph.trace import Graph, Value, replay, rerun, trace

BATCH = 32
RATE = 0.005  # of Adam, in steps of what is rounded
LEVELS = 127  # of a weight, either way of zero
SHOWN = 8  # images that layers are compared on
_WEIGHTED = ("Conv2D", "DepthwiseConv2D", "Dense")
_RECTIFIERS = ("Activation", "ReLU", "Relu", "Relu6")
# What only hands on the numbers that it is given.
_PASSES = ("ZeroPadding2D", "Reshape", "Flatten", "Dropout", "Identity", "ImageDropout", "Cast")


@dataclass(frozen=True, eq=False)
class _Part:
    """A weight that is learned.

    Attributes:
        layer: Name of its layer.
        variable: Of the copy.
        unit: One step of it, of a shape that broadcasts.
        axes: Over which a scale is shared, for weights that are rounded; None for others.
        moved: Steps away from where it began.
    """

    layer: str
    variable: Any
    unit: Any
    axes: tuple[int, ...] | None
    moved: Any

    def value(self) -> Any:
        """What it is now, float."""
        return self.variable + self.unit * self.moved

    def rounded(self, share: Any = 1.0) -> Any:
        """What is computed with, where a share of the rounding is done."""
        now = self.value()
        if self.axes is None:
            return now
        scale = tf.reduce_max(tf.abs(now), self.axes, keepdims=True) / LEVELS
        near = tf.round(now / tf.maximum(scale, 1e-12)) * scale
        return now + share * tf.stop_gradient(near - now)


def fitted(
    network: Any,
    images: Any,
    steps: int,
    told: Callable[[float], None] = lambda _: None,
    whole: bool = True,
) -> Any:
    """A copy of a network that answers alike once it computes in 8 bits.

    Args:
        network: Of uint8 images to `logits` and `probabilities`.
        images: uint8 (images, side, side, 3); their labels are not asked for.
        steps: Batches to learn from.
        told: Called with the number of steps that are done.
        whole: Whether what flows between layers is rounded too, and not the weights alone.
    """
    copy = copied(network)
    graph = trace(copy)
    ranges = ranges_of(graph, images)
    parts = _parts(graph, ranges)
    if not parts or not steps:
        return copy
    learn = _learner(network, graph, _rounded(graph, ranges if whole else {}), parts, steps)
    random = np.random.default_rng(0)
    rounds = -(-steps * BATCH // len(images))
    rows = np.concatenate([random.permutation(len(images)) for _ in range(rounds)])
    for step in range(steps):
        learn(tf.constant(images[rows[step * BATCH : (step + 1) * BATCH]]))
        told(step + 1)
    for part in parts:
        part.variable.assign(part.value())
    return copy


def worst(network: Any, images: Any, count: int = 3) -> list[str]:
    """Layers whose rounding alone changes the answers most, the worst first, by name.

    Args:
        network: Of uint8 images to `logits` and `probabilities`.
        images: uint8 (images, side, side, 3).
        count: How many to name.
    """
    graph = trace(network)
    ranges = ranges_of(graph, images)
    names = list(dict.fromkeys(call.layer.name for call in graph.calls))
    parts = [part for part in _parts(graph, ranges) if part.axes is not None]
    logits, rounded = _place(network, graph), _rounded(graph, ranges)

    @tf.function(autograph=False)
    def error(batch: Any, chosen: Any) -> Any:
        shares = {name: chosen[i] for i, name in enumerate(names)}
        mapping = [(p.variable, p.rounded(shares[p.layer])) for p in parts]
        with keras.StatelessScope(state_mapping=mapping):
            given = rounded(batch, shares)[logits]
        return tf.reduce_mean((given - network(batch, training=False)["logits"]) ** 2)

    batch = tf.constant(images[:: max(1, len(images) // SHOWN)][:SHOWN])
    errors = [float(error(batch, tf.constant(row))) for row in np.eye(len(names), dtype=np.float32)]
    return [names[i] for i in np.argsort(errors)[::-1][:count]]


def copied(network: Any) -> Any:
    """The same network with learned layers of its own; what stays as it is, is shared."""
    made: dict[Any, Any] = {}

    def replaced(layer: Any, args: Any, kwargs: Any) -> Any:
        if _axes(layer) is None:
            return None
        if layer not in made:
            made[layer] = type(layer).from_config(layer.get_config())
            made[layer].build(args[0].shape)
            made[layer].set_weights(layer.get_weights())
        return made[layer](*args, **kwargs)

    images = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="images")
    return keras.Model(images, rerun(network, images, replaced))


def ranges_of(graph: Graph, images: Any) -> dict[Value, tuple[float, float]]:
    """Least and most of what flows between layers, zero among it, as runtimes see it."""
    values = [v for call in graph.calls for v in call.outputs if _is_float(v)]

    @tf.function(autograph=False)
    def ends(batch: Any) -> Any:
        made = replay(graph.calls, {graph.inputs[0]: batch})
        return [(tf.reduce_min(made[v]), tf.reduce_max(made[v])) for v in values]

    batches = [images[first : first + BATCH] for first in range(0, len(images), BATCH)]
    found = np.array([[(float(a), float(b)) for a, b in ends(tf.constant(b))] for b in batches])
    low, high = np.minimum(found[..., 0].min(0), 0), np.maximum(found[..., 1].max(0), 0)
    return {v: (float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)}


def _is_float(value: Value) -> bool:
    return "float" in str(value.tensor.dtype)


def _rounded(graph: Graph, ranges: Mapping[Value, tuple[float, float]]) -> Any:
    """A function of images to all that flows, rounded to 8 bits between layers.

    It takes how much of the rounding is done, from 0 to 1 by name of a layer; None is all.
    """
    uses = collections.Counter(value for call in graph.calls for value in call.inputs)
    # What a rectifier takes is computed in one with it, and rounded behind it.
    inside = {call.inputs[0] for call in graph.calls
              if _kind(call.layer) in _RECTIFIERS and uses[call.inputs[0]] == 1}  # fmt: skip
    places = {
        value: ranges[value] for call in graph.calls for value in call.outputs
        if value in ranges and value not in inside and _kind(call.layer) not in _PASSES
    }  # fmt: skip

    def answers(images: Any, shares: Mapping[str, Any] | None = None) -> dict[Value, Any]:
        made = {graph.inputs[0]: images}
        for call in graph.calls:
            made = replay([call], made)
            for value in call.outputs:
                if value in places:
                    share = 1.0 if shares is None else shares[call.layer.name]
                    made[value] = _near(made[value], places[value], share)
        return made

    return answers


def _near(values: Any, ends: tuple[float, float], share: Any) -> Any:
    low, high = ends
    plain = tf.cast(values, tf.float32)
    high = max(high, low + 1e-6)
    near = tf.quantization.fake_quant_with_min_max_args(plain, low, high)
    return tf.cast(plain + share * (near - plain), values.dtype)


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _place(network: Any, graph: Graph) -> Value:
    return graph.outputs[sorted(network.output).index("logits")]


def _parts(graph: Graph, ranges: Mapping[Value, tuple[float, float]]) -> list[_Part]:
    """The weights that are learned: kernels and biases of convolutions and dense layers."""
    found: dict[Any, list[_Part]] = {}
    for call in graph.calls:
        layer, axes = call.layer, _axes(call.layer)
        if axes is None or layer in found:
            continue
        unit = np.abs(layer.kernel.numpy()).max(axes, keepdims=True) / LEVELS
        found[layer] = [_part(layer, layer.kernel, unit, axes)]
        if layer.use_bias:
            low, high = ranges[call.outputs[0]]
            step = np.float32((high - low) / (2 * LEVELS))
            found[layer].append(_part(layer, layer.bias, step, None))
    return [part for both in found.values() for part in both]


def _part(layer: Any, variable: Any, unit: Any, axes: tuple[int, ...] | None) -> _Part:
    return _Part(layer.name, variable, unit, axes, tf.Variable(tf.zeros(variable.shape)))


def _axes(layer: Any) -> tuple[int, ...] | None:
    """Axes of a kernel that share a scale: all but those of the channels that it makes."""
    if _kind(layer) not in _WEIGHTED:
        return None
    return {"DepthwiseConv2D": (0, 1), "Conv2D": (0, 1, 2), "Dense": (0,)}[_kind(layer)]


def _learner(network: Any, graph: Graph, rounded: Any, parts: Sequence[_Part], steps: int) -> Any:
    """A function that takes one step on a batch of images; returns how far the answers are."""
    rates = keras.optimizers.schedules.CosineDecay(RATE, steps)
    optimizer = keras.optimizers.Adam(rates)
    moved = [part.moved for part in parts]
    optimizer.build(moved)
    logits = _place(network, graph)

    @tf.function(autograph=False, reduce_retracing=True)
    def learn(images: Any) -> Any:
        wanted = network(images, training=False)["logits"]
        with tf.GradientTape() as tape:
            mapping = [(part.variable, part.rounded()) for part in parts]
            with keras.StatelessScope(state_mapping=mapping):
                given = rounded(images)[logits]
            loss = tf.reduce_mean((given - wanted) ** 2) / tf.math.reduce_variance(wanted)
        optimizer.apply(tape.gradient(loss, moved), moved)
        return loss

    return learn
