"""Cut the graph of a model where its constant part ends."""

import collections
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import keras

from tlcli.models.graph.trace import (
    Call,
    Graph,
    Layer,
    Model,
    Value,
    fresh_inputs,
    packed,
    path_of,
    refuse_clash,
    replay,
    single,
    trace,
)


@dataclass(frozen=True, eq=False)
class Split:
    """A model cut in two: `suffix(prefix(images))` is the model.

    Attributes:
        prefix: Images to cut tensors, then the extra outputs; None if nothing can be cut off.
            Run it with `training=False`. Several inputs are a list, in the model's flat order.
        suffix: Cut tensors to the model's outputs, in the model's output structure.
        cut_names: Path of the layer behind each cut tensor, in the order of the suffix's inputs.
        extra_names: Extra outputs that the prefix gives after the cut tensors.
    """

    prefix: Model | None
    suffix: Model
    cut_names: tuple[str, ...]
    extra_names: tuple[str, ...] = ()


def split(
    model: Model, is_frozen: Callable[[Layer], bool], extra_outputs: Sequence[str] = ()
) -> Split:
    """Cut the model where its constant part ends, so that this part can be run once.

    The prefix is every call whose layer is frozen and whose inputs come from the prefix alone.
    Operations without a layer (`keras.ops`) count as frozen. A frozen call without weights that
    only makes the cut tensors larger (upsampling) is left to the suffix.

    Args:
        model: A functional model; its layers are shared by both parts.
        is_frozen: Whether a layer gives the same outputs for the same inputs throughout. Asked
            for every layer, dropout included.
        extra_outputs: Layer names whose outputs the prefix also gives. Those outside the prefix
            are left out; `extra_names` says which are given.
    """
    graph = trace(model)
    inside = _constant_calls(graph, is_frozen)
    cut = _cut(graph, inside)
    extras = {}
    for name in extra_outputs:
        value = graph.named[path_of(graph, name, None)][0][0]
        if any(value in call.outputs for call in inside):
            extras[name] = value
    refuse_clash(graph)
    if not inside:
        return Split(None, model, tuple(_cut_names(graph, cut)))
    inputs = fresh_inputs(model)
    made = replay(
        (c for c in graph.calls if c in inside), dict(zip(graph.inputs, inputs, strict=True))
    )
    names = tuple(_cut_names(graph, cut))
    wanted = [made[value] for value in (*cut, *extras.values())]
    prefix = keras.Model(single(inputs), single(wanted), name=f"{model.name}_prefix")
    suffix = _suffix(model, graph, inside, dict(zip(names, cut, strict=True)))
    return Split(prefix, suffix, names, tuple(extras))


def _suffix(model: Model, graph: Graph, inside: set[Call], cut: dict[str, Value]) -> Model:
    inputs = {
        value: keras.Input(
            batch_shape=value.shape, dtype=value.tensor.dtype, name=name.replace("/", "_")
        )
        for name, value in cut.items()
    }
    made = replay((call for call in graph.calls if call not in inside), inputs)
    outputs = packed(model, [made[value] for value in graph.outputs])
    return keras.Model(single(list(inputs.values())), outputs, name=f"{model.name}_suffix")


def _constant_calls(graph: Graph, is_frozen: Callable[[Layer], bool]) -> set[Call]:
    """The calls of the prefix."""
    constant = set(graph.inputs)
    inside: set[Call] = set()
    for call in graph.calls:
        frozen = not isinstance(call.layer, keras.Layer) or is_frozen(call.layer)
        if frozen and constant.issuperset(call.inputs):
            constant.update(call.outputs)
            inside.add(call)
    for call in reversed(graph.calls):
        if call in inside and not getattr(call.layer, "weights", ()):
            smaller = inside - {call}
            outputs_leave = not any(set(call.outputs) & set(c.inputs) for c in smaller)
            if outputs_leave and _size(_cut(graph, smaller)) < _size(_cut(graph, inside)):
                inside = smaller
    return inside


def _cut(graph: Graph, inside: set[Call]) -> list[Value]:
    """Values that the calls outside, or the model's outputs, take from inside."""
    outside = [call for call in graph.calls if call not in inside]
    used = {value for call in outside for value in call.inputs} | set(graph.outputs)
    made = [value for call in graph.calls if call in inside for value in call.outputs]
    return [value for value in (*graph.inputs, *made) if value in used]


def _size(values: Iterable[Value]) -> int:
    """Numbers per image; unknown lengths count as 64."""
    return sum(math.prod(64 if d is None else d for d in value.shape[1:]) for value in values)


def _cut_names(graph: Graph, cut: Sequence[Value]) -> Iterator[str]:
    """A distinct name per cut value: the path of its layer, `#2` added where it is not alone."""
    owner = {value: call.path for call in graph.calls for value in call.outputs}
    seen: collections.Counter[str] = collections.Counter()
    for value in cut:
        name = owner.get(value) or value.tensor.name
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"
